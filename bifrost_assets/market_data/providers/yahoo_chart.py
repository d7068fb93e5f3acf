"""Reading Yahoo's charts: bars as traded on the day, dividends and splits, in the currency's major unit.

Yahoo's prices and dividends are adjusted for every split up to today (not for dividends), so those are taken back out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from bifrost_assets.market_data.providers.base import ACTION_SCHEMA, BAR_SCHEMA, MINUTE_SCHEMA
from bifrost_assets.market_data.providers.currencies import major_unit

if TYPE_CHECKING:
    from bifrost_assets.market_data.providers.yahoo_session import Charted

PRICES = ["Open", "High", "Low", "Close"]
Split = tuple[date, float]


def daily_bars(chart: Charted, divisor: float) -> pl.DataFrame:
    """The rows in BAR_SCHEMA, prices and volumes as traded on the day; the adjusted close as Yahoo has it today."""
    result = chart.result
    columns = {
        "session": [stamp.date() for stamp in chart.rows.index],
        **{name.lower(): chart.rows[name].to_list() for name in [*PRICES, "Volume"]},
        "vendor_adj_close": chart.rows["Adj Close"].to_list(),
    }
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    silent = [datetime.fromtimestamp(at, zone).date() for at in _without_volume(result)]
    bars = pl.DataFrame(columns, schema=BAR_SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))
    told = bars.with_columns(
        pl.when(~pl.col("session").is_in(silent)).then("volume"), pl.col("vendor_adj_close") / divisor
    )
    return _as_traded(told, pl.col("session"), splits_of(result), divisor)


def minute_bars(chart: Charted, splits: Sequence[Split], divisor: float) -> pl.DataFrame:
    """The rows in MINUTE_SCHEMA, as traded; a minute without a trade, which Yahoo lists as nulls, is no bar."""
    columns = {
        "start_at": [stamp.to_pydatetime().astimezone(UTC) for stamp in chart.rows.index],
        **{name.lower(): chart.rows[name].to_list() for name in [*PRICES, "Volume"]},
    }
    result = chart.result
    silent = pl.Series(
        [datetime.fromtimestamp(at, UTC) for at in _without_volume(result)], dtype=MINUTE_SCHEMA["start_at"]
    )
    bars = pl.DataFrame(columns, schema=MINUTE_SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))
    told = bars.with_columns(pl.when(~pl.col("start_at").is_in(silent.implode())).then("volume"))
    traded = told.filter(~pl.all_horizontal(pl.exclude("start_at").is_null()))
    day = pl.col("start_at").dt.convert_time_zone(result["meta"]["exchangeTimezoneName"]).dt.date()
    return _as_traded(traded, day, splits, divisor)


def actions_of(result: Mapping[str, Any]) -> pl.DataFrame | None:
    """Splits and dividends (ACTION_SCHEMA) of an answer, as paid on the day.

    None where a dividend is in another currency than the prices: only the adjusted closes tell what it was worth.
    """
    currency, divisor = major_unit(result["meta"]["currency"])
    splits = splits_of(result)
    rows: list[tuple[date, str, float]] = [(day, "split", ratio) for day, ratio in splits]
    for day, event in _events(result, "dividends"):
        theirs, own = major_unit(event.get("currency") or result["meta"]["currency"])
        if theirs != currency:
            return None
        cash = event["amount"] / (own if event.get("currency") else divisor)
        rows.append((day, "cash_dividend", round(cash * _later(day, splits), 6)))
    actions = pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row")
    return actions.group_by("ex_session", "kind").agg(pl.col("value").sum()).sort("ex_session", "kind")


def splits_of(result: Mapping[str, Any]) -> list[Split]:
    """Session and ratio, new shares for one old, of each split."""
    return [(day, event["numerator"] / event["denominator"]) for day, event in _events(result, "splits")]


def date_of(result: Mapping[str, Any], name: str) -> date | None:
    """The day that a time of the answer's meta fell on at the exchange, if it is there."""
    stamp = result["meta"].get(name)
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    return None if stamp is None else datetime.fromtimestamp(stamp, zone).date()


def _events(result: Mapping[str, Any], kind: str) -> list[tuple[date, dict[str, Any]]]:
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    events = ((result.get("events") or {}).get(kind) or {}).values()
    return sorted(((datetime.fromtimestamp(e["date"], zone).date(), e) for e in events), key=lambda pair: pair[0])


def _later(day: date, splits: Sequence[Split]) -> float:
    """Shares that one share of `day` has become."""
    shares = 1.0
    for ex_session, ratio in splits:
        shares *= ratio if ex_session > day else 1.0
    return shares


def _as_traded(bars: pl.DataFrame, day: pl.Expr, splits: Sequence[Split], divisor: float) -> pl.DataFrame:
    later = pl.lit(1.0)
    for ex_session, ratio in splits:
        later = later * pl.when(day < ex_session).then(ratio).otherwise(1.0)
    prices = [_exact(pl.col(name.lower()) * later / divisor) for name in PRICES]
    return bars.with_columns(*prices, volume=(pl.col("volume") / later).round())


def _exact(price: pl.Expr) -> pl.Expr:
    """Yahoo publishes prices as 32-bit floats, about seven digits: what is beyond them is noise and goes."""
    return pl.when(price < 400).then(price.round(4)).when(price < 4000).then(price.round(3)).otherwise(price.round(2))


def _without_volume(result: Mapping[str, Any]) -> list[int]:
    """Times whose volume is null in the answer: yfinance turns these into 0, which is another thing."""
    volumes = result["indicators"]["quote"][0]["volume"]
    return [at for at, volume in zip(result["timestamp"], volumes, strict=True) if volume is None]
