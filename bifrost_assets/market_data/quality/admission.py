"""What of a load may be stored: the gate, with the stored past beside the new bars, then what a person decided."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data.quality.gate import implausible
from bifrost_assets.market_data.quality.judging import ACTIONS, BARS
from bifrost_assets.market_data.quality.measures import INSTRUMENT, KEY, factors_of
from bifrost_assets.market_data.quality.settled import Settled, settle
from bifrost_core.calendar import all_sessions

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse


def admit(warehouse: Warehouse, bars: pl.DataFrame, found: pl.DataFrame) -> Settled:
    """Which of `bars` to store and which to hold (those have a column `reason`).

    `bars` as in gate.implausible, with whatever other columns the load needs; `found` the actions of its answer
    (instrument_id, ex_session, kind, price_factor), as actions.find_actions gives them.
    """
    if bars.is_empty():
        return Settled(bars, bars.with_columns(reason=pl.lit(None, dtype=pl.String)))
    sessions = [s.session for s in all_sessions(warehouse.settings.exchange)]
    first = bars["session"].min()
    begin = bisect_left(sessions, first)  # type: ignore[type-var]
    limits = warehouse.settings.quality
    span = (sessions[max(0, begin - limits.history_sessions - 1)], sessions[max(0, begin - 1)])
    named = factors_of(found)
    stored = warehouse.read(ACTIONS, *span).join(named, on=KEY, how="anti")
    history = warehouse.read(BARS, *span).join(bars.select(INSTRUMENT).unique(), on=INSTRUMENT, how="semi")
    held = implausible(bars, history, pl.concat([stored, named]), limits)
    passed = bars.join(held, on=KEY, how="anti", maintain_order="left")
    with warehouse.transaction() as connection:
        return settle(connection, passed, held)
