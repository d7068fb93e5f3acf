"""Errors planted in real bars: twenty kinds, ten of each, with a fixed seed, spread over symbols and years.

A bar is a dict of one row; a planter takes the bars of one symbol and the position of the error, changes them in place,
and says which rows are wrong. What a vendor computes from a close (the adjusted close) goes wrong with it, unless the
kind is about the two of them falling apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

Bar = dict[str, Any]
Planter = Callable[[list[Bar], int, random.Random], "Change"]
PER_KIND, SPACING, STRETCH, FIRST = 10, 40, 252, 130
PRICES = ("open", "high", "low", "close", "vendor_adj_close")


@dataclass(frozen=True, slots=True)
class Change:
    """What a planter did: the rows that are wrong now, rows that are there as well, splits that prices do not show.

    `is_ahead` where a session holds what is known only later; `echo` is how many sessions after the last wrong one are
    still compared with it.
    """

    wrong: tuple[int, ...]
    more: tuple[Bar, ...] = ()
    moved_to: date | None = None
    is_lost: bool = False
    split: bool = False
    is_ahead: bool = False
    echo: int = 1


@dataclass(frozen=True, slots=True)
class Planted:
    """One error: sessions whose bar is wrong (or lost), and where the platform may notice it."""

    kind: str
    symbol: str
    sessions: tuple[date, ...]
    noticed: frozenset[date]
    is_ahead: bool


@dataclass(slots=True)
class Series:
    """The bars of one symbol with errors in them, and the splits that its vendor names without applying."""

    bars: list[Bar]
    splits: list[date] = field(default_factory=list)


def _scaled(bar: Bar, factor: float) -> None:
    bar.update({name: bar[name] * factor for name in PRICES})


def price_scale(bars: list[Bar], at: int, rng: random.Random) -> Change:
    _scaled(bars[at], rng.choice((100.0, 0.01, 100.0, 0.01, 10.0, 0.1, 1000.0, 0.001)))
    return Change((at,))


def field_scale(bars: list[Bar], at: int, rng: random.Random) -> Change:
    name, factor = rng.choice(
        (
            ("open", 100.0),
            ("close", 0.01),
            ("high", 10.0),
            ("high", 100.0),
            ("low", 0.1),
            ("low", 0.01),
            ("close", 10.0),
        )
    )
    bars[at][name] *= factor
    return Change((at,))


def volume_scale(bars: list[Bar], at: int, rng: random.Random) -> Change:
    bars[at]["volume"] *= rng.choice((100.0, 0.01, 1000.0, 0.001))
    return Change((at,))


def bad_tick(bars: list[Bar], at: int, rng: random.Random) -> Change:
    bar, factor = bars[at], rng.choice((-1, 1)) * rng.uniform(0.4, 0.6) + 1
    bar["close"], bar["vendor_adj_close"] = bar["close"] * factor, bar["vendor_adj_close"] * factor
    bar["high"], bar["low"] = max(bar["high"], bar["close"]), min(bar["low"], bar["close"])
    return Change((at,))


def split_twice(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """Five bars, adjusted for a split once more than there was."""
    for bar in bars[at : at + 5]:
        _scaled(bar, 0.5)
        bar["volume"] *= 2
    return Change(tuple(range(at, at + 5)))


def split_not_applied(_bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """The vendor names a two-for-one split, and its prices go on as before."""
    return Change((at,), split=True)


def repeated(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    bars[at] |= {name: bars[at - 1][name] for name in (*PRICES, "volume")}
    return Change((at,))


def twice(bars: list[Bar], at: int, rng: random.Random) -> Change:
    other = dict(bars[at])
    if rng.random() < 0.5:
        _scaled(other, 1.01)
    return Change((at,), more=(other,))


def no_trading_day(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """A bar dated on the Saturday or Sunday after it: a time zone on the wrong side."""
    day: date = bars[at]["session"]
    return Change((at,), moved_to=day + timedelta(days=5 - day.weekday() + (at % 2)))


def day_early(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """A session holds the bar of the next one, which is there as well."""
    bars[at] |= {name: bars[at + 1][name] for name in (*PRICES, "volume")}
    return Change((at,), is_ahead=True)


def stale(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """Five sessions carried forward: one price, no volume."""
    last = bars[at - 1]
    for bar in bars[at : at + 5]:
        bar |= {**dict.fromkeys(PRICES[:4], last["close"]), "vendor_adj_close": last["vendor_adj_close"], "volume": 0.0}
    return Change(tuple(range(at, at + 5)))


def high_low(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    bars[at] |= {"high": bars[at]["low"], "low": bars[at]["high"]}
    return Change((at,))


def open_close(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    """Open and close swapped, the adjusted close right: at least 0.2 % apart, else nothing is wrong."""
    while abs(bars[at]["open"] / bars[at]["close"] - 1) < 0.002:
        at += 1
    bars[at] |= {"open": bars[at]["close"], "close": bars[at]["open"]}
    return Change((at,))


def volume_price(bars: list[Bar], at: int, rng: random.Random) -> Change:
    name = rng.choice(PRICES[:4])
    bars[at] |= {"volume": bars[at][name], name: bars[at]["volume"]}
    return Change((at,))


def sign(bars: list[Bar], at: int, rng: random.Random) -> Change:
    for name in rng.choice((("close",), ("volume",), ("low",), PRICES)):
        bars[at][name] *= -1
    return Change((at,))


def zero(bars: list[Bar], at: int, rng: random.Random) -> Change:
    for name in rng.choice((("open",), ("low",), ("volume",), PRICES)):
        bars[at][name] = 0.0
    return Change((at,))


def missing_value(bars: list[Bar], at: int, rng: random.Random) -> Change:
    bars[at][rng.choice((*PRICES[:4], "volume"))] = rng.choice((None, float("nan")))
    return Change((at,))


def decimals_lost(bars: list[Bar], at: int, _rng: random.Random) -> Change:
    bars[at] |= {name: float(int(bars[at][name])) for name in PRICES[:4]}
    return Change((at,))


def session_lost(_bars: list[Bar], at: int, _rng: random.Random) -> Change:
    return Change((at,), is_lost=True)


def series_shifted(bars: list[Bar], at: int, rng: random.Random) -> Change:
    """A year of bars, each dated a session early or late."""
    early = rng.random() < 0.5
    values = [{name: bar[name] for name in (*PRICES, "volume")} for bar in bars]
    for n in range(at, at + STRETCH):
        bars[n] |= values[n + 1 if early else n - 1]
    return Change(tuple(range(at, at + STRETCH)), is_ahead=early, echo=STRETCH // 2)


KINDS: dict[str, Planter] = {
    planter.__name__: planter
    for planter in (
        *(price_scale, field_scale, volume_scale, bad_tick, split_twice, split_not_applied, repeated, twice),
        *(no_trading_day, day_early, series_shifted, stale, high_low, open_close, volume_price, sign, zero),
        *(missing_value, decimals_lost, session_lost),
    )
}


def plant(clean: dict[str, pl.DataFrame], seed: int) -> tuple[dict[str, Series], list[Planted]]:
    """Ten errors of each kind in `clean` (BAR_SCHEMA by symbol), never two within a month and a half of each other."""
    rng = random.Random(seed)
    series = {symbol: Series(bars.to_dicts()) for symbol, bars in clean.items()}
    stretches, slots = _places(clean)
    kinds = [kind for kind in KINDS if kind != "series_shifted" for _ in range(PER_KIND)]
    rng.shuffle(kinds)
    places = [*(("series_shifted", *one) for one in stretches)]
    places += [(kind, *one) for kind, one in zip(kinds, rng.sample(slots, len(kinds)), strict=True)]
    return series, [_plant(series[symbol], kind, symbol, at, rng) for kind, symbol, at in places]


def plant_one(bars: pl.DataFrame, kind: str, symbol: str, at: int, seed: int) -> tuple[Series, Planted]:
    """One error alone, in bars that are clean before it."""
    series = Series(bars.to_dicts())
    return series, _plant(series, kind, symbol, at, random.Random(seed))


def _places(clean: dict[str, pl.DataFrame]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Stretches of a year for shifted series, and slots for single errors outside of them."""
    longest = sorted(clean, key=lambda symbol: -clean[symbol].height)[:4]
    stretches = [(symbol, FIRST + 700 * n) for n, symbol in [(n, s) for n in range(3) for s in longest]][:PER_KIND]
    slots = [
        (symbol, at)
        for symbol, bars in clean.items()
        for at in range(FIRST if bars.height > 1000 else 30, bars.height - SPACING // 2, SPACING)
        if not any(s == symbol and a - SPACING < at < a + STRETCH + SPACING for s, a in stretches)
    ]
    return stretches, slots


def _plant(series: Series, kind: str, symbol: str, at: int, rng: random.Random) -> Planted:
    change = KINDS[kind](series.bars, at, rng)
    sessions = tuple(series.bars[n]["session"] for n in change.wrong)
    after = change.wrong[-1] + 1
    noticed = {*sessions, *(bar["session"] for bar in series.bars[after : after + change.echo])}
    if change.moved_to:
        series.bars[at]["session"] = change.moved_to
        noticed.add(change.moved_to)
    if change.is_lost:
        series.bars[at]["is_lost"] = True
    if change.split:
        series.splits.append(sessions[0])
    series.bars.extend(change.more)
    return Planted(kind, symbol, sessions, frozenset(noticed), change.is_ahead)
