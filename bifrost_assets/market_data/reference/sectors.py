"""The sectors of instruments, as a person gives them in a file: what MAX_SECTOR adds up by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bifrost_assets.market_data.evidence import keep_payloads
from bifrost_assets.market_data.reference.changes import Change, record
from bifrost_assets.market_data.reference.table import read_table
from bifrost_assets.market_data.reference.told import OPERATOR

if TYPE_CHECKING:
    from psycopg import Connection

COLUMNS = ["symbol", "sector"]
SECTOR_CHARACTERS = 100
MEANT = """
    select asked.symbol, i.instrument_id, i.sector
    from unnest(%s::text[]) as asked(symbol)
    join reference.instruments i on i.instrument_id = reference.instrument_of(asked.symbol, %s)
"""
SET = """
    update reference.instruments i set sector = s.sector
    from unnest(%s::integer[], %s::text[]) as s(instrument_id, sector)
    where s.instrument_id = i.instrument_id
"""


@dataclass(frozen=True, slots=True)
class SectorsSet:
    """How many instruments have another sector now, how many had it already, and the lines that were left out."""

    changed: int
    unchanged: int
    problems: tuple[str, ...]


def import_sectors(connection: Connection, path: Path, on: date, actor: str) -> SectorsSet:
    """Give instruments the sectors in the CSV file at `path` (symbol,sector); a symbol means what it means on `on`.

    Lines that are wrong are left out and told, the others are kept; instruments that are not named keep theirs. The
    bytes of the file are kept in raw.payloads. Raises TableError where the file is no such table.
    """
    table = read_table(path, COLUMNS)
    problems: dict[int, str] = {}
    wanted: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, cells in table.lines:
        if fault := _fault(cells, wanted):
            problems[number] = fault
        else:
            wanted[cells[0].upper()], lines[cells[0].upper()] = cells[1], number
    found = {symbol: (i, old) for symbol, i, old in connection.execute(MEANT, (list(wanted), on)).fetchall()}
    problems |= {lines[one]: f"{one} means no instrument on {on}" for one in wanted if one not in found}
    new = {symbol: wanted[symbol] for symbol, (_, old) in found.items() if old != wanted[symbol]}
    if new:
        keep_payloads(connection, OPERATOR, [table.payload])
        connection.execute(SET, ([found[symbol][0] for symbol in new], list(new.values())))
        before: Mapping[str, str | None] = {symbol: found[symbol][1] for symbol in new}
        after = {"sectors": new, "file_sha256": table.payload.sha256}
        record(connection, actor, Change("set sectors", path.name, before, after))
    told = tuple(f"line {number}: {fault}" for number, fault in sorted(problems.items()))
    return SectorsSet(len(new), len(found) - len(new), told)


def _fault(cells: list[str], seen: Iterable[str]) -> str | None:
    """What is wrong with a line; None if nothing is."""
    if len(cells) != len(COLUMNS):
        return f"{len(cells)} cells instead of {len(COLUMNS)}"
    symbol, sector = cells
    if not symbol or not sector:
        return f"no {'sector' if symbol else 'symbol'}"
    if not sector.isprintable() or len(sector) > SECTOR_CHARACTERS:
        return f"a sector is at most {SECTOR_CHARACTERS} printable characters"
    return f"{symbol.upper()} is named twice" if symbol.upper() in seen else None
