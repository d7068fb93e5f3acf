"""One measured figure, and the table and file that all of them go into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Result:
    """`value` beside `peer_value`, both in `unit`; `target` bounds their ratio, or `value` where there is no peer."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    target: float | None = None
    better: Literal["higher", "lower"] = "lower"

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.target if self.better == "higher" else judged <= self.target

    def as_row(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def write(results: Sequence[Result], path: Path) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([result.as_row() for result in results], indent=1) + "\n")


def table(results: Sequence[Result]) -> str:
    """The results as a text table."""
    rows = [("figure", "value", "unit", "ratio", "against", "target", "met")]
    rows += [
        (
            r.name,
            f"{r.value:,.3g}" if abs(r.value) < 1000 else f"{r.value:,.0f}",
            r.unit,
            "" if r.ratio is None else f"{r.ratio:.2f}",
            r.peer or "",
            "" if r.target is None else f"{'>=' if r.better == 'higher' else '<='} {r.target:g}",
            {True: "yes", False: "MISSED", None: ""}[r.met],
        )
        for r in results
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
