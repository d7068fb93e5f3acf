"""The warehouse as one role sees it: what assets, the app and the command line are handed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bifrost_core.settings import Settings
from bifrost_core.warehouse import bulk
from bifrost_core.warehouse.connect import Role, connect, url

if TYPE_CHECKING:
    import polars as pl
    import psycopg


class Warehouse:
    """Reads and transactions as `role`. Cheap to make; connects when used."""

    def __init__(self, settings: Settings, role: Role) -> None:
        self.settings = settings
        self.role = role

    def read(self, sql: str, *params: Any) -> pl.DataFrame:
        """The rows of `sql` (parameters `$1`, `$2` ...) as a polars frame; see bulk.read_frame."""
        from adbc_driver_manager import Error

        try:
            return bulk.read_frame(url(self.settings, self.role), sql, params)
        except Error:
            connect(self.settings, self.role).close()  # where that is what failed, say it in our words
            raise

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """A connection whose work is committed at the end of the block, or rolled back if it raises."""
        with connect(self.settings, self.role) as connection:
            yield connection
