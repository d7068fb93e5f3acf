"""Who is in the universe, from when until when: by the settings, or by an imported file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from bifrost_assets.market_data.evidence import keep_payloads
from bifrost_assets.market_data.reference.changes import Change, record
from bifrost_assets.market_data.reference.table import Table, read_table
from bifrost_assets.market_data.reference.told import OPERATOR
from bifrost_core.errors import BifrostError
from bifrost_core.reference import UNIVERSE

if TYPE_CHECKING:
    from psycopg import Connection

COLUMNS = ["symbol", "valid_from", "valid_to"]
SHOWN_PROBLEMS = 5

ALONE = "lock table reference.universe_members in share row exclusive mode"  # imports take turns
FOLLOWS_A_FILE = "select exists (select from reference.universes where universe = %s)"
LEFT = """
    with named as (
        select distinct on (symbol) instrument_id from reference.symbols
        where symbol = any(%(symbols)s) order by symbol, valid_from desc
    )
    update reference.universe_members set valid_to = current_date
    where universe = %(universe)s and valid_to is null and valid_from < current_date
        and instrument_id not in (select instrument_id from named)
"""
# From the first bar on; who left comes back today at the earliest.
JOINED = """
    with named as (
        select distinct on (symbol) instrument_id from reference.symbols
        where symbol = any(%(symbols)s) order by symbol, valid_from desc
    )
    insert into reference.universe_members (universe, instrument_id, valid_from)
    select %(universe)s, n.instrument_id,
        case when l.valid_to is null then b.session else greatest(l.valid_to, current_date) end
    from named n
    cross join lateral (
        select session from raw.daily_bars where instrument_id = n.instrument_id order by session limit 1
    ) b
    cross join lateral (
        select max(m.valid_to) as valid_to, coalesce(bool_or(m.valid_to is null), false) as is_in
        from reference.universe_members m
        where m.universe = %(universe)s and m.instrument_id = n.instrument_id
    ) l
    where not l.is_in
    on conflict do nothing
"""
JOINED_TODAY = """
    with named as (
        select distinct on (symbol) instrument_id from reference.symbols
        where symbol = any(%(symbols)s) order by symbol, valid_from desc
    )
    insert into reference.universe_members (universe, instrument_id, valid_from)
    select %(universe)s, n.instrument_id, current_date
    from named n
    where not exists (
        select from reference.universe_members m
        where m.universe = %(universe)s and m.instrument_id = n.instrument_id
            and (m.valid_to is null or m.valid_to > current_date)
    )
"""
MEANT = """
    select asked.line, s.instrument_id, i.asset_class
    from unnest(%s::integer[], %s::text[], %s::date[]) as asked(line, symbol, valid_from)
    left join reference.symbols s on s.symbol = asked.symbol
        and asked.valid_from >= s.valid_from and (s.valid_to is null or asked.valid_from < s.valid_to)
    left join reference.instruments i using (instrument_id)
"""
STORED = """
    select i.symbol, m.instrument_id, m.valid_from, m.valid_to
    from reference.universe_members m join reference.instruments i using (instrument_id)
    where m.universe = %s
"""
MEMBERS_IN = """
    insert into reference.universe_members (universe, instrument_id, valid_from, valid_to)
    select %s, * from unnest(%s::integer[], %s::date[], %s::date[])
"""
FROM_FILE = """
    insert into reference.universes (universe, file_sha256) values (%s, %s)
    on conflict (universe) do update set file_sha256 = excluded.file_sha256, imported_at = now()
        where universes.file_sha256 <> excluded.file_sha256
"""


class UniverseError(BifrostError):
    """A file of members cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Member:
    """One membership; valid_to is exclusive, None is open."""

    symbol: str
    instrument_id: int
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    symbol: str
    valid_from: date
    valid_to: date | None


def update_universe(connection: Connection, symbols: Iterable[str]) -> int:
    """Make `symbols` the members of the universe: new ones from their first bar on, missing ones until today.

    Returns the rows changed. Changes nothing where the members come from a file.
    """
    if connection.execute(FOLLOWS_A_FILE, (UNIVERSE,)).fetchone() == (True,):
        return 0
    values = {"universe": UNIVERSE, "symbols": list(symbols)}
    left = connection.execute(LEFT, values).rowcount
    return left + connection.execute(JOINED, values).rowcount


def import_universe(connection: Connection, path: Path, actor: str) -> tuple[int, int]:
    """Make the memberships in the CSV file at `path` those of the universe, from now on instead of the settings.

    Its columns are symbol, valid_from and valid_to (exclusive; empty: open), dates as 2013-03-01; a symbol means what
    it meant on valid_from. Returns how many memberships were added and removed. Raises TableError, or UniverseError
    with the lines that are wrong; nothing is changed then. The bytes of the file are kept in raw.payloads.
    """
    table = read_table(path, COLUMNS)
    members = _resolved(connection, path, _members(path, table))
    keep_payloads(connection, OPERATOR, [table.payload])
    connection.execute(ALONE)
    is_new = connection.execute(FROM_FILE, (UNIVERSE, table.payload.sha256)).rowcount > 0
    added, removed = _replace(connection, members)
    if is_new or added or removed:
        before, after = {"removed": _plain(removed)}, {"added": _plain(added), "file_sha256": table.payload.sha256}
        record(connection, actor, Change("import universe", UNIVERSE, before, after))
    return len(added), len(removed)


def reset_universe(connection: Connection, symbols: Iterable[str], actor: str) -> int:
    """Let the universe follow the settings again: members are `symbols` from now on, and the past stays as imported.

    Returns the memberships changed. Raises UniverseError where no file was imported.
    """
    connection.execute(ALONE)
    if not connection.execute("delete from reference.universes where universe = %s", (UNIVERSE,)).rowcount:
        raise UniverseError("the universe follows BIFROST_UNIVERSE already", "`bifrost config` shows it")
    before, values = members_of(connection), {"universe": UNIVERSE, "symbols": list(symbols)}
    changed = connection.execute(LEFT, values).rowcount + connection.execute(JOINED_TODAY, values).rowcount
    record(connection, actor, Change("reset universe", UNIVERSE, _plain(before), _plain(members_of(connection))))
    return changed


def members_as_of(connection: Connection, session: date) -> list[str]:
    """The symbols of the universe's members in `session`, as they were then."""
    sql = "select symbol from reference.universe_as_of(%s, %s) order by symbol"
    return [row[0] for row in connection.execute(sql, (UNIVERSE, session)).fetchall()]


def members_of(connection: Connection) -> list[Member]:
    """Every membership of the universe, past ones too, under the instruments' latest symbols."""
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(STORED, (UNIVERSE,)).fetchall()


def _members(path: Path, table: Table) -> list[_Row]:
    rows: list[_Row] = []
    problems: list[str] = []
    for number, cells in table.lines:
        try:
            rows.append(_row(number, cells))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if not rows and not problems:
        problems.append("no members")
    _refuse(path, problems)
    return rows


def _row(number: int, cells: Sequence[str]) -> _Row:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} cells instead of {len(COLUMNS)}")
    symbol, first, until = cells
    if not symbol:
        raise ValueError("no symbol")
    row = _Row(number, symbol.upper(), date.fromisoformat(first), date.fromisoformat(until) if until else None)
    if row.valid_to is not None and row.valid_to <= row.valid_from:
        raise ValueError(f"valid_to {row.valid_to} is not after valid_from {row.valid_from}")
    return row


def _resolved(connection: Connection, path: Path, rows: Sequence[_Row]) -> list[Member]:
    """The rows with the instruments that their symbols meant; one query for all."""
    asked = ([r.line for r in rows], [r.symbol for r in rows], [r.valid_from for r in rows])
    found = {line: meaning for line, *meaning in connection.execute(MEANT, asked).fetchall()}
    problems: list[str] = []
    members: list[Member] = []
    for row in rows:
        instrument, asset_class = found[row.line]
        if instrument is None:
            problems.append(f"line {row.line}: {row.symbol} meant no instrument on {row.valid_from}")
        elif asset_class == "index":
            problems.append(f"line {row.line}: {row.symbol} is an index, which cannot be traded")
        else:
            members.append(Member(row.symbol, instrument, row.valid_from, row.valid_to))
    problems += _overlaps(members)
    _refuse(path, problems)
    return members


def _overlaps(members: Iterable[Member]) -> Iterator[str]:
    ends: dict[int, Member] = {}
    for one in sorted(members, key=lambda m: m.valid_from):
        before = ends.get(one.instrument_id)
        if before and (before.valid_to is None or one.valid_from < before.valid_to):
            yield (
                f"{one.symbol} from {one.valid_from} is in already, as {before.symbol} from {before.valid_from}"
                f" until {before.valid_to or 'today'}"
            )
        ends[one.instrument_id] = one


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        more = f" (and {len(problems) - SHOWN_PROBLEMS} more)" if len(problems) > SHOWN_PROBLEMS else ""
        raise UniverseError(
            f"{path} cannot be imported: {'; '.join(problems[:SHOWN_PROBLEMS])}{more}",
            "Mend the file, or load and register the instruments first (BIFROST_UNIVERSE names what is loaded)",
        )


def _replace(connection: Connection, members: Iterable[Member]) -> tuple[list[Member], list[Member]]:
    """Store `members` and nothing else; returns those that were added and those that are gone."""
    wanted = {(m.instrument_id, m.valid_from, m.valid_to): m for m in members}
    stored = {(m.instrument_id, m.valid_from, m.valid_to): m for m in members_of(connection)}
    added = [member for key, member in wanted.items() if key not in stored]
    removed = [member for key, member in stored.items() if key not in wanted]
    if added or removed:
        connection.execute("delete from reference.universe_members where universe = %s", (UNIVERSE,))
        columns = [list(column) for column in zip(*wanted, strict=True)]
        connection.execute(MEMBERS_IN, (UNIVERSE, *columns))
    return added, removed


def _plain(members: Iterable[Member]) -> list[list[str | None]]:
    rows = [[m.symbol, str(m.valid_from), str(m.valid_to) if m.valid_to else None] for m in members]
    return sorted(rows, key=str)
