"""The record of who changed reference data, when, and how it was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    import psycopg

Action = Literal[
    "register",
    "rename",
    "delist",
    "undo rename",
    "undo delist",
    "restrict",
    "unrestrict",
    "import universe",
    "reset universe",
    "set sectors",
]

CHANGE_IN = """
    insert into reference.changes (actor, action, instrument_id, subject, before, after)
    values (%s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to `subject`, with the rows before and after it."""

    action: Action
    subject: str
    before: Any
    after: Any
    instrument_id: int | None = None


def record(connection: psycopg.Connection, actor: str, change: Change) -> None:
    """Write `change` down, in the transaction that makes it."""
    values = (change.instrument_id, change.subject, Jsonb(change.before), Jsonb(change.after))
    connection.execute(CHANGE_IN, (actor, change.action, *values))
