"""Every version of a bar and of the corporate actions of its session: what was known when, and from which bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from psycopg.rows import class_row, dict_row

from bifrost_core.errors import BifrostError

if TYPE_CHECKING:
    import psycopg

# Under its symbol of the session; else of whoever had the symbol nearest to it.
INSTRUMENT = """
    select i.instrument_id, i.name, e.timezone,
        array(select distinct symbol from reference.symbols where instrument_id = i.instrument_id) as symbols
    from reference.symbols s
    join reference.instruments i using (instrument_id)
    join reference.exchanges e on e.mic = i.exchange_mic
    where s.symbol = %(symbol)s
    order by %(session)s >= s.valid_from and (s.valid_to is null or %(session)s < s.valid_to) desc,
        abs(s.valid_from - %(session)s)
    limit 1
"""
RUN_OF = """
    left join lateral (
        select l.dagster_run_id from raw.loads l
        where l.instrument_id = v.instrument_id and l.loaded_at = v.ingested_at limit 1
    ) run on true
"""
BARS = f"""
    select 'bar' as kind, v.available_at, v.ingested_at, v.provider, v.payload_sha256, run.dagster_run_id,
        s.superseded_at as ended_at,
        s.superseded_at is not null and v.ingested_at = max(v.ingested_at) over () as is_taken_back,
        format('open %%s high %%s low %%s close %%s volume %%s', v.open, v.high, v.low, v.close, v.volume) as says
    from raw.daily_bars v
    left join raw.daily_bars_superseded s using (instrument_id, session, ingested_at)
    {RUN_OF}
    where v.instrument_id = %(instrument_id)s and v.session = %(session)s
    order by v.ingested_at
"""  # noqa: S608, only our own text
ACTIONS = f"""
    select v.kind, v.available_at, v.ingested_at, v.provider, v.payload_sha256, run.dagster_run_id,
        lead(v.ingested_at) over (partition by v.kind order by v.ingested_at) as ended_at,
        v.is_cancelled as is_taken_back,
        concat_ws(' ', v.value, v.details ->> 'from', v.details ->> 'to',
            case when v.price_factor <> 1 then format('earlier prices x %%s', v.price_factor) end) as says
    from raw.corporate_actions v
    {RUN_OF}
    where v.instrument_id = %(instrument_id)s and v.ex_session = %(session)s
    order by v.kind, v.ingested_at
"""  # noqa: S608, only our own text


@dataclass(frozen=True, slots=True)
class Subject:
    """The instrument that is asked about, all symbols it ever had, and its exchange's time zone."""

    instrument_id: int
    name: str
    timezone: str
    symbols: Sequence[str]


@dataclass(frozen=True, slots=True)
class Vintage:
    """One version of a row: what it says, and when a trader could have known it.

    `ended_at` is when another version was stored; `is_taken_back` where that was none: there is no such row any more.
    """

    kind: str
    says: str
    available_at: datetime
    ingested_at: datetime
    ended_at: datetime | None
    is_taken_back: bool
    provider: str
    payload_sha256: str
    dagster_run_id: str | None

    @property
    def state(self) -> str:
        if self.is_taken_back:
            return "taken back" + (f" {_time(self.ended_at)}" if self.ended_at else "")
        return f"until {_time(self.ended_at)}" if self.ended_at else "current"


@dataclass(frozen=True, slots=True)
class History:
    """Every version of one bar, and of the corporate actions of its session, oldest first."""

    subject: Subject
    session: date
    bars: Sequence[Vintage]
    actions: Sequence[Vintage]


def history(connection: psycopg.Connection, symbol: str, session: date) -> History:
    """What was ever stored of `symbol` in `session`; raises BifrostError for an unknown symbol, or no row."""
    which = {"symbol": symbol, "session": session}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(INSTRUMENT, which).fetchone()
    if row is None:
        raise BifrostError(f"no instrument ever had the symbol {symbol}", "See reference.symbols for those there are")
    subject = Subject(**row)
    where = {"instrument_id": subject.instrument_id, "session": session}
    with connection.cursor(row_factory=class_row(Vintage)) as rows:
        bars = rows.execute(BARS, where).fetchall()
        actions = rows.execute(ACTIONS, where).fetchall()
    if not bars and not actions:
        raise BifrostError(
            f"nothing was ever stored of {symbol} in session {session}",
            "Ask for a session on which it was traded, or see quarantine.rows for what was held back",
        )
    return History(subject, session, bars, actions)


def as_lines(found: History) -> Iterator[str]:
    """The history for a person to read, two lines a version."""
    one = found.subject
    yield f"{', '.join(one.symbols)} on {found.session}: instrument {one.instrument_id}, {one.name}"
    yield from _section(found.bars)
    yield from _section(found.actions)


def _section(vintages: Iterable[Vintage]) -> Iterator[str]:
    for one in vintages:
        yield f"  {one.kind} {one.says} · {one.state}"
        run = [f"run {one.dagster_run_id}"] if one.dagster_run_id else []
        known = f"known {_time(one.available_at)} · stored {_time(one.ingested_at)} · from {one.provider}"
        yield "    " + " · ".join([known, *run, f"payload sha256:{one.payload_sha256}"])


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
