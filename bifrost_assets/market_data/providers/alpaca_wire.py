"""Reading Alpaca's JSON: bars, corporate actions, trades and quotes as frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bifrost_assets.market_data.providers.base import ACTION_SCHEMA, BAR_SCHEMA, MINUTE_SCHEMA
from bifrost_assets.market_data.providers.spool import Answer
from bifrost_assets.market_data.providers.ticks import QUOTE_SCHEMA, TRADE_SCHEMA

NEW_YORK = "America/New_York"
ACTION_TYPES = ("forward_split", "reverse_split", "stock_dividend", "cash_dividend", "name_change")
BARS = {"t": "start_at", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
TRADES = {"t": "traded_at", "p": "price", "s": "size", "x": "exchange", "c": "conditions", "i": "trade_id", "z": "tape"}
QUOTES = {
    "t": "quoted_at",
    "bp": "bid_price",
    "bs": "bid_size",
    "bx": "bid_exchange",
    "ap": "ask_price",
    "as": "ask_size",
    "ax": "ask_exchange",
    "c": "conditions",
    "z": "tape",
}

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]


def minute_bars(pages: Sequence[Answer]) -> pl.DataFrame:
    """Bars of every symbol: `symbol` and MINUTE_SCHEMA."""
    return _frame(pages, "bars", BARS, {"symbol": pl.String(), **MINUTE_SCHEMA})


def daily_bars(pages: Sequence[Answer]) -> pl.DataFrame:
    """Bars of every symbol: `symbol` and BAR_SCHEMA; Alpaca's days begin at midnight in New York."""
    day = pl.col("start_at").dt.convert_time_zone(NEW_YORK).dt.date()
    bars = minute_bars(pages).with_columns(session=day, vendor_adj_close=pl.lit(None, dtype=pl.Float64))
    return bars.select("symbol", *BAR_SCHEMA)


def trades(page: Answer) -> pl.DataFrame:
    """A page of trades (TRADE_SCHEMA)."""
    return _frame([page], "trades", TRADES, TRADE_SCHEMA)


def quotes(page: Answer) -> pl.DataFrame:
    """A page of quotes (QUOTE_SCHEMA)."""
    return _frame([page], "quotes", QUOTES, QUOTE_SCHEMA)


def actions(pages: Sequence[Answer]) -> pl.DataFrame:
    """Splits and cash dividends of every symbol: `symbol` and ACTION_SCHEMA. A stock dividend is a small split."""
    rows = []
    for told in _corporate_actions(pages):
        for kind in ("forward_splits", "reverse_splits"):
            rows += [(a["symbol"], a["ex_date"], "split", a["new_rate"] / a["old_rate"]) for a in told.get(kind, [])]
        rows += [(a["symbol"], a["ex_date"], "split", 1 + a["rate"]) for a in told.get("stock_dividends", [])]
        rows += [(a["symbol"], a["ex_date"], "cash_dividend", a["rate"]) for a in told.get("cash_dividends", [])]
    text: Schema = {"symbol": pl.String, **ACTION_SCHEMA, "ex_session": pl.String}
    frame = pl.DataFrame(rows, schema=text, orient="row").with_columns(pl.col("ex_session").str.to_date())
    value = pl.col("value")
    total = pl.when(pl.col("kind").first() == "split").then(value.product()).otherwise(value.sum())
    keys = ["symbol", "ex_session", "kind"]
    return frame.group_by(keys).agg(total).sort(keys)


def renamed(pages: Sequence[Answer]) -> dict[str, tuple[str, str]]:
    """New symbol, and the ISO date of the change, by old symbol."""
    changes = [change for told in _corporate_actions(pages) for change in told.get("name_changes", [])]
    return {
        change["old_symbol"]: (change["new_symbol"], change["process_date"])
        for change in sorted(changes, key=lambda change: str(change["process_date"]))
        if change["old_symbol"] != change["new_symbol"]
    }


def _corporate_actions(pages: Sequence[Answer]) -> list[dict[str, list[dict[str, Any]]]]:
    return [json.loads(page.body).get("corporate_actions") or {} for page in pages]


def _frame(pages: Sequence[Answer], name: str, columns: Mapping[str, str], schema: Schema) -> pl.DataFrame:
    """One row per object under `name`, `columns` renamed; times are cut to microseconds."""
    at = columns["t"]
    text = {**schema, at: pl.String()}
    rows = [
        (symbol, *[one.get(column) for column in columns])
        for page in pages
        for symbol, ones in (json.loads(page.body).get(name) or {}).items()
        for one in ones or []
    ]
    theirs = {"symbol": text["symbol"], **{ours: text[ours] for ours in columns.values()}}
    frame = pl.DataFrame(rows, schema=theirs, orient="row", strict=False)
    stamp = pl.col(at).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").dt.replace_time_zone("UTC")
    return frame.with_columns(stamp).select(*schema)
