"""What every computed row carries, so that it can be traced to the run and the code that made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bifrost_core.provenance import code_version

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Stamp:
    """The Dagster run and the code version behind a row."""

    dagster_run_id: str
    code_version: str

    @classmethod
    def of(cls, run_id: str) -> Stamp:
        return cls(run_id, code_version())

    def onto(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with columns code_version and dagster_run_id added."""
        import polars as pl

        return frame.with_columns(code_version=pl.lit(self.code_version), dagster_run_id=pl.lit(self.dagster_run_id))
