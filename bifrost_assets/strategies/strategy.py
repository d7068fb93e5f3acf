"""What a strategy is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Strategy:
    """A name and a function from what is known to what to hold.

    `weights` is given one row per instrument and session: instrument_id, symbol, session, every column of
    features.daily, and prediction, model_name, model_version (null where no model predicted). It returns rows
    (session, instrument_id, weight): the fraction of the strategy's capital to hold, negative for short, for each
    instrument that it has an opinion on. A row may depend on its own and earlier sessions only, at most `lookback`
    sessions earlier; an asset check cuts the future off and compares. `uses_model` records the predicting model
    with each signal.
    """

    name: str
    description: str
    weights: Callable[[pl.DataFrame], pl.DataFrame]
    lookback: int = 0
    uses_model: bool = False
