"""How many planted errors the gate and the checks catch, as a table: `python -m benchmarks.detection` writes it.

Two ways in, as on the platform. A history load has all of a series, errors and what follows them, in one window. A
nightly load has one session, on a stored past, and the next night looks back at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.seeded_errors import KINDS, STRETCH, Planted, Series, plant, plant_one
from bifrost_assets.market_data.actions import derive_actions
from bifrost_assets.market_data.bars import sift
from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_assets.market_data.providers.sample import INDEX, SampleProvider
from bifrost_assets.market_data.quality.detectors import OUT_OF_STEP, doubted, scored
from bifrost_assets.market_data.quality.gate import implausible
from bifrost_assets.market_data.quality.measures import factors_of
from bifrost_core.calendar import sessions_between
from bifrost_core.settings import Settings, load_settings

SEED = 20130301
DOCUMENT = Path(__file__).parent.parent / "docs" / "data-quality.md"
BEGIN, END = "<!-- detection table: written by python -m benchmarks.detection -->", "<!-- end of detection table -->"
CONTEXT = 130
NOTHING = pl.DataFrame(schema={"symbol": pl.String, **BAR_SCHEMA, "instrument_id": pl.Int32})
HISTORY = ("planted", "held", "flagged", "missed")
NIGHTLY = ("nights", "held_at_night", "flagged_at_night", "flagged_next_night", "missed_at_night")


@dataclass(frozen=True, slots=True)
class Found:
    """What a load named, as (symbol, session): rows held, rows flagged or missing, and series out of step."""

    held: frozenset[tuple[str, date]]
    flagged: frozenset[tuple[str, date]]
    out_of_step: frozenset[tuple[str, date]]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind: planted, and caught where; the rest is missed."""

    kind: str
    planted: int
    held: int
    flagged: int
    nights: int
    held_at_night: int
    flagged_at_night: int
    flagged_next_night: int

    @property
    def missed(self) -> int:
        return self.planted - self.held - self.flagged

    @property
    def missed_at_night(self) -> int:
        return self.nights - self.held_at_night - self.flagged_at_night - self.flagged_next_night


@dataclass(frozen=True, slots=True)
class Report:
    """The table, and false alarms among clean bars, alone and beside the errors."""

    rows: tuple[Row, ...]
    clean_bars: int
    clean_alarms: int
    bars_beside: int
    alarms_beside: int


class Platform:
    """What a load and its checks do, on frames: the same functions, without the database between them."""

    def __init__(self, settings: Settings, ids: dict[str, int]) -> None:
        self.settings, self.limits = settings, settings.quality
        self.ids, self.names = ids, {n: symbol for symbol, n in ids.items()}
        first, last = date(2000, 1, 3), date(2013, 3, 1)
        self.sessions = [s.session for s in sessions_between(settings.exchange, first, last)]

    def sifted(self, bars: pl.DataFrame, last: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Possible bars with instrument_id, and the others."""
        apart = sift(bars, self.sessions, last)
        ids = pl.col("symbol").replace_strict(self.ids, return_dtype=pl.Int32)
        return apart.good.with_columns(instrument_id=ids), apart.bad

    def actions(self, bars: pl.DataFrame, splits: Sequence[tuple[str, date]]) -> pl.DataFrame:
        """Actions derived from the adjusted closes, and the splits that a vendor only names."""
        found = derive_actions(bars, 1e-6).select("instrument_id", "ex_session", "kind", "price_factor")
        named = pl.DataFrame(
            [(self.ids[symbol], day, "split", 0.5) for symbol, day in splits], schema=found.schema, orient="row"
        )
        return pl.concat([found, named])

    def load(
        self, bars: pl.DataFrame, stored: pl.DataFrame, splits: Sequence[tuple[str, date]], window: tuple[date, date]
    ) -> tuple[pl.DataFrame, Found]:
        """The bars that are stored after a load of `bars` on top of `stored`, and what was held and flagged in it."""
        good, bad = self.sifted(bars, window[1])
        known = self.actions(pl.concat([stored, good], how="diagonal"), splits)
        held = implausible(good, stored, factors_of(known), self.limits)
        passed = good.join(held, on=["instrument_id", "session"], how="anti")
        after = pl.concat([stored, passed], how="diagonal")
        scores = scored(after, factors_of(self.actions(after, splits)), self.limits, self.ids[INDEX])
        back = self.sessions[max(0, self.sessions.index(window[0]) - self.limits.second_look_sessions)]
        doubts = doubted(scores, self.limits).filter(pl.col("session").is_between(back, window[1]))
        rows = {*bad.select("symbol", "session").iter_rows(), *held.select("symbol", "session").iter_rows()}
        gone = self.missing(after, window) - rows
        steps = doubts.filter(pl.col("reason").str.contains(OUT_OF_STEP.words))
        return after, Found(frozenset(rows), frozenset(self._named(doubts)) | gone, frozenset(self._named(steps)))

    def _named(self, rows: pl.DataFrame) -> set[tuple[str, date]]:
        return {(self.names[one], day) for one, day in rows.select("instrument_id", "session").iter_rows()}

    def missing(self, bars: pl.DataFrame, window: tuple[date, date]) -> set[tuple[str, date]]:
        """Sessions of the window without a bar, from each symbol's first bar on."""
        days = pl.DataFrame({"session": [d for d in self.sessions if window[0] <= d <= window[1]]})
        wanted = bars.group_by("symbol").agg(since=pl.col("session").min()).join(days, how="cross")
        lacking = wanted.filter(pl.col("session") >= pl.col("since")).join(bars, on=["symbol", "session"], how="anti")
        return set(lacking.select("symbol", "session").iter_rows())


def evaluate() -> Report:
    """Plant, load both ways, count."""
    settings = load_settings()
    clean = clean_bars(settings)
    platform = Platform(settings, {symbol: n for n, symbol in enumerate(clean, 1)})
    series, planted = plant({symbol: bars for symbol, bars in clean.items() if symbol != INDEX}, SEED)
    untouched = {symbol: Series(bars.to_dicts()) for symbol, bars in clean.items()}
    window = (platform.sessions[0], platform.sessions[-1])
    _, alarms = platform.load(frame_of(untouched), NOTHING, [], window)
    splits = [(symbol, day) for symbol, one in series.items() for day in one.splits]
    everything = frame_of({**untouched, **series})
    _, found = platform.load(everything, NOTHING, splits, window)
    touched = {(one.symbol, day) for one in planted for day in one.noticed}
    at_night = [(one, _nights(platform, clean, one, n)) for n, one in enumerate(planted)]
    at_night = [one for one in at_night if one[1] != "ahead"]
    caught = {id(one): _where(one, found) for one in planted}
    rows = tuple(_row(kind, planted, caught, at_night) for kind in KINDS)
    bars = sum(frame.height for frame in clean.values())
    beside = (found.held | found.flagged) - touched
    return Report(
        rows,
        clean_bars=bars,
        clean_alarms=len(alarms.held | alarms.flagged),
        bars_beside=bars - len(touched),
        alarms_beside=len(beside),
    )


def clean_bars(settings: Settings) -> dict[str, pl.DataFrame]:
    """The sample's bars by symbol, the index among them."""
    symbols = [*settings.universe, settings.benchmark]
    fetched = SampleProvider(settings).fetch(symbols, date(2000, 1, 3), date(2013, 3, 1))
    return {one.symbol: one.bars for one in fetched.loaded}


def frame_of(series: dict[str, Series]) -> pl.DataFrame:
    """The bars that are sent: symbol and BAR_SCHEMA."""
    rows = {symbol: [bar for bar in one.bars if not bar.get("is_lost")] for symbol, one in series.items()}
    return _together({symbol: pl.DataFrame(bars, schema=BAR_SCHEMA) for symbol, bars in rows.items()})


def _together(bars: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([own.select(pl.lit(symbol).alias("symbol"), pl.all()) for symbol, own in bars.items()])


def _where(one: Planted, found: Found) -> str:
    """held, flagged or missed. A lost session is caught where it is reported missing, which is a flag.

    A year of shifted bars is caught only by what says so: a repeated bar at one end of it is no more than a hint.
    """
    places = {(one.symbol, day) for day in one.noticed}
    if len(one.sessions) > 5:
        return "flagged" if places & found.out_of_step else "missed"
    return "held" if places & found.held else "flagged" if places & found.flagged else "missed"


def _nights(platform: Platform, clean: dict[str, pl.DataFrame], one: Planted, seed: int) -> str:
    """Where an error is caught that comes alone after clean sessions: held, flagged, next night or missed.

    "ahead" where it cannot come so: tomorrow's bar is not sent tonight. A series that begins to be late repeats a bar.
    """
    at = clean[one.symbol]["session"].index_of(one.sessions[0])
    assert at is not None
    near = clean[one.symbol].slice(max(0, at - CONTEXT), CONTEXT + 2 * STRETCH)
    series, again = plant_one(near, one.kind, one.symbol, min(at, CONTEXT), seed)
    if again.is_ahead:
        return "ahead"
    again = replace(again, sessions=again.sessions[:1])
    night = again.sessions[0]
    n = platform.sessions.index(night)
    past, next_night = platform.sessions[max(0, n - CONTEXT)], platform.sessions[n + 1]
    world = _together({s: bars.filter(pl.col("session").is_between(past, next_night)) for s, bars in clean.items()})
    rest = world.filter(pl.col("symbol") != one.symbol)
    wrong = frame_of({one.symbol: series}).filter(pl.col("session").is_between(past, max(next_night, *again.noticed)))
    splits = [(one.symbol, day) for day in series.splits]
    stored, _ = platform.sifted(world.filter(pl.col("session") < night), night)
    tonight = pl.concat([rest.filter(pl.col("session") == night), wrong.filter(_sent(night, next_night))])
    after, first = platform.load(tonight, stored, splits, (night, night))
    if (caught := _where(again, first)) != "missed":
        return caught
    tomorrow = pl.concat([rest, wrong]).filter(pl.col("session") == next_night)
    _, second = platform.load(tomorrow, after, splits, (next_night, next_night))
    return "missed" if _where(again, second) == "missed" else "next night"


def _sent(night: date, next_night: date) -> pl.Expr:
    """What an answer for `night` holds: its bar, or one with a date before the next session."""
    return (pl.col("session") >= night) & (pl.col("session") < next_night)


def _row(kind: str, planted: Sequence[Planted], caught: dict[int, str], at_night: Sequence[tuple[Planted, str]]) -> Row:
    history = Counter(caught[id(one)] for one in planted if one.kind == kind)
    night = Counter(where for one, where in at_night if one.kind == kind)
    return Row(
        kind,
        history.total(),
        history["held"],
        history["flagged"],
        night.total(),
        night["held"],
        night["flagged"],
        night["next night"],
    )


def table(report: Report) -> str:
    """The report in Markdown."""
    head = (
        "| kind | planted | held | flagged | missed | nights | held | flagged that night | the next night | missed |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    lines = [f"| {row.kind.replace('_', ' ')} | {' | '.join(_cells(row))} |" for row in report.rows]
    totals = [f"**{sum(getattr(row, name) for row in report.rows)}**" for name in (*HISTORY, *NIGHTLY)]
    return "\n".join([head, *lines, f"| **all** | {' | '.join(totals)} |", "", *_alarms(report)])


def _cells(row: Row) -> list[str]:
    return [
        *(str(getattr(row, name)) for name in HISTORY),
        *(str(getattr(row, name)) if row.nights else "–" for name in NIGHTLY),
    ]


def _alarms(report: Report) -> list[str]:
    rates = (
        ("the bars as they came", report.clean_alarms, report.clean_bars),
        ("the clean bars among the planted errors, in one history load", report.alarms_beside, report.bars_beside),
    )
    head = ["| false alarms in | held or flagged | clean bars | per 10,000 |", "|---|---:|---:|---:|"]
    return head + [f"| {where} | {n} | {bars:,} | {n / bars * 10_000:.1f} |" for where, n, bars in rates]


def written(document: str, new: str) -> str:
    """`document` with `new` between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def main() -> None:
    """Write the table into the document."""
    new = table(evaluate())
    DOCUMENT.write_text(written(DOCUMENT.read_text(), new))
    print(new)


if __name__ == "__main__":
    main()
