"""What every computed row carries, so that it can be traced to the run and the code that made it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bifrost_core.provenance import code_version

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Stamp:
    """The Dagster run and the code version behind a row, and the time before which its inputs were stored.

    Make it before the inputs are read: what is stored after `computed_at` had no part in the row.
    """

    dagster_run_id: str
    code_version: str
    computed_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, run_id: str) -> Stamp:
        return cls(run_id, code_version())

    def onto(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with columns code_version, dagster_run_id and computed_at added."""
        import polars as pl

        return frame.with_columns(**{one.name: pl.lit(getattr(self, one.name)) for one in fields(self)})
