"""A CSV file that a person gives: its bytes, and its lines under the columns that it must have."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bifrost_assets.market_data.providers.base import Payload
from bifrost_core.errors import BifrostError


class TableError(BifrostError):
    """A file is not the table that is wanted."""


@dataclass(frozen=True, slots=True)
class Table:
    """The file as it was given; `lines` are (number, stripped cells), without the head and blank lines."""

    payload: Payload
    lines: tuple[tuple[int, list[str]], ...]


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """The file at `path`. Raises TableError where it cannot be read, is no CSV text, or has other columns."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}", "Name a CSV file") from error
    try:
        head, *rest = list(csv.reader(io.StringIO(body.decode("utf-8-sig")))) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} is no CSV text: {error}", "Save it as CSV in UTF-8") from error
    if [name.strip() for name in head] != list(columns):
        raise TableError(f"{path} does not begin with the line {','.join(columns)}", "Name its columns so")
    lines = ((number, [cell.strip() for cell in cells]) for number, cells in enumerate(rest, 2))
    return Table(Payload(path.name, "text/csv", body), tuple((n, cells) for n, cells in lines if any(cells)))
