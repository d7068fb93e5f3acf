"""Runs named statements: each is one transaction, at one instant, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from execution_daemon.errors import StoreFailed
from execution_daemon.simulation.warehouse.tables import Row, Tables

Given = Mapping[str, Any]


class Refused(StoreFailed):
    """The warehouse says no to what was asked: the daemon's book is not the stored one, or a constraint is broken."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the warehouse cannot be used: {reason}", "A defect: the daemon asked for what cannot be")


class Session:
    """A connection to the server; advisory locks hang on it."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.is_open = True
        self.locks: set[str] = set()


@dataclass(slots=True)
class Transaction:
    """What a statement works with: the tables, its session, and the server's clock."""

    tables: Tables
    session: Session
    now: datetime
    others: list[Session] = field(default_factory=list)

    def try_lock(self, key: str) -> bool:
        """pg_try_advisory_lock: False while another session has it."""
        if any(key in other.locks for other in self.others if other is not self.session and other.is_open):
            return False
        self.session.locks.add(key)
        return True


Statement = Callable[[Transaction, Given], list[Row]]
Observer = Callable[["Database", Session, str, Given, list[Row]], None]
STATEMENTS: dict[str, Statement] = {}


def statement(function: Statement) -> Statement:
    """Register the statement of this name."""
    STATEMENTS[function.__name__] = function
    return function


def value(function: Callable[[Transaction, Given], object]) -> Callable[[Transaction, Given], object]:
    """Register a statement that selects one value: `select f(...)`."""
    name = function.__name__
    STATEMENTS[name] = lambda tx, given: [{name: function(tx, given)}]
    return function


class Database:
    """The server. `now` is its clock; `observers` see every committed statement with its answer."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.tables = Tables()
        self.now = now
        self.sessions: list[Session] = []
        self.observers: list[Observer] = []
        self.statements = 0

    def connect(self, name: str = "") -> Session:
        """A new session."""
        session = Session(name)
        self.sessions.append(session)
        return session

    def disconnect(self, session: Session) -> None:
        """End a session: its locks are free."""
        session.is_open = False
        session.locks.clear()
        if session in self.sessions:
            self.sessions.remove(session)

    def run(self, session: Session, name: str, given: Given) -> list[Row]:
        """One statement, committed. Raises LeaseLost, Refused; then nothing is changed."""
        (rows,) = self.run_together(session, [(name, given)])
        return rows

    def run_together(self, session: Session, asked: Sequence[tuple[str, Given]]) -> list[list[Row]]:
        """Statements, committed as one. Raises LeaseLost, Refused; then nothing of any of them is kept."""
        transaction = Transaction(self.tables, session, self.now(), self.sessions)
        try:
            answers = [STATEMENTS[name](transaction, given) for name, given in asked]
        except Exception:
            self.tables.roll_back()
            raise
        self.tables.commit()
        self.statements += len(answers)
        for (name, given), rows in zip(asked, answers, strict=True):
            for observe in self.observers:
                observe(self, session, name, given, rows)
        return answers
