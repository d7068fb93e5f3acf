"""Keyset pages: each answer ends with a cursor for the next one, and rows that come in meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from execution_daemon.api.problems import Kind, ProblemError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Limit = Annotated[int, Query(ge=1, le=500, description="Rows in a page.")]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="The `next` of the page before.")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9_-]{8,200}$", description="The `next` of the page before: do not make one.")
]


def cursor_of(at: datetime, key: str) -> str:
    """The place of a row that is sorted by a time and a key."""
    microseconds = (at - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}|{key}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """Time and key that `cursor` stands for. Raises ProblemError where it is none of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        microseconds, _, key = text.partition("|")
        if not key.isprintable():
            raise ValueError(key)
        return EPOCH + timedelta(microseconds=int(microseconds)), key
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ProblemError(Kind.INVALID, "query.after: this is no cursor of ours; begin with the first page") from error
