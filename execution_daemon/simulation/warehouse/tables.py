"""Tables with an undo journal: a statement that fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

from bifrost_core.trading.costs import TICK

Row = dict[str, Any]
Journal = list[Callable[[], None]]


def numeric(value: object) -> Decimal:
    """A value as a column with six decimals keeps it."""
    return Decimal(str(value)).quantize(TICK, ROUND_HALF_UP)


def optional(value: object) -> Decimal | None:
    """`numeric`, where the column may be null."""
    return None if value is None else numeric(value)


class Table:
    """Rows by primary key. A row is replaced, never changed, so that what was read stays as it was."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: dict[Any, Row] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: object) -> Row | None:
        """The row with this key."""
        return self._rows.get(key)

    def put(self, key: object, row: Row) -> None:
        """Insert or replace the row."""
        before = self._rows.get(key)
        self._rows[key] = row
        self._journal.append(lambda: self._restore(key, before))

    def insert(self, key: object, row: Row) -> bool:
        """Insert the row; False, and no change, where the key exists."""
        if key in self._rows:
            return False
        self.put(key, row)
        return True

    def change(self, key: object, **changes: Any) -> None:
        """Replace columns of a row."""
        self.put(key, {**self._rows[key], **changes})

    def delete(self, key: object) -> None:
        """Take the row out."""
        before = self._rows.pop(key)
        self._journal.append(lambda: self._restore(key, before))

    def _restore(self, key: object, before: Row | None) -> None:
        if before is None:
            del self._rows[key]
        else:
            self._rows[key] = before


class Log:
    """Rows in the order they were added, which nothing changes any more."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[index]

    def since(self, length: int) -> list[Row]:
        """What was added after the log had this length."""
        return self._rows[length:]

    def append(self, row: Row) -> int:
        """Add the row; returns its number, from 1."""
        self._rows.append(row)
        self._journal.append(self._pop)
        return len(self._rows)

    def _pop(self) -> None:
        self._rows.pop()


class Tables:
    """Everything that is stored, by schema and name as in PostgreSQL."""

    def __init__(self) -> None:
        self.journal: Journal = []
        table, log = partial(Table, self.journal), partial(Log, self.journal)
        self.instruments, self.sessions, self.restricted = table(), table(), log()
        self.batches, self.targets = table(), log()
        self.accounts, self.cash, self.positions = table(), table(), table()
        self.leases, self.kill_switches, self.limits = table(), table(), log()
        self.batch_intake, self.blocked, self.heartbeats = table(), table(), table()
        self.orders, self.parents, self.adjustments = table(), table(), table()
        self.events, self.fills, self.decisions = log(), log(), log()
        self.reconciliations, self.equity_marks = log(), table()
        self.chain = log()
        self.fill_ids: Table = table()  # (broker, exec_id), as the unique index

    def commit(self) -> None:
        """Keep what was done."""
        self.journal.clear()

    def roll_back(self) -> None:
        """Undo what was done since the last commit."""
        while self.journal:
            self.journal.pop()()

    def account_rows(self, table: Iterable[Row], account: str) -> list[Row]:
        """The rows of one account."""
        return [row for row in table if row["account"] == account]


def moment(text: str) -> datetime:
    """A timestamptz out of JSON."""
    return datetime.fromisoformat(text)
