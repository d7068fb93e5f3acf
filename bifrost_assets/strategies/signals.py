"""From features and predictions to stored signals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from bifrost_assets.features.daily import FEATURES
from bifrost_assets.strategies.registry import StrategyError
from bifrost_assets.strategies.strategy import Strategy
from bifrost_core.calendar import all_sessions
from bifrost_core.provenance import frame_version
from bifrost_core.reference import UNIVERSE
from bifrost_core.warehouse.warehouse import Warehouse

KNOWN = f"""
    select instrument_id, session, {", ".join(f"f.{name}" for name in FEATURES)}, prediction, model_name, model_version
    from features.daily f
    left join ml.predictions p using (instrument_id, session)
    where session between $1 and $2
    order by session, instrument_id
"""  # noqa: S608, only our own column names
# Who was in the universe when, under which symbol. Joined by polars: with both joins in KNOWN, ten years of 500 names
# took twice as long to read.
MEMBERS = """
    select instrument_id, s.symbol, greatest(u.valid_from, s.valid_from) as since,
        least(u.valid_to, s.valid_to) as until
    from reference.universe_periods u
    join reference.symbols s using (instrument_id)
    where u.universe = $1
"""


def known(warehouse: Warehouse, first: date, last: date, lookback: int) -> pl.DataFrame:
    """What strategies may look at: features and predictions from `lookback` sessions before `first` to `last`.

    A session's rows are those of its members of the universe then, under the symbols of then: who was delisted since
    is among them, who joined since is not.
    """
    before = [s.session for s in all_sessions(warehouse.settings.exchange) if s.session < first]
    start = before[-lookback:][0] if lookback and before else first
    rows = warehouse.read(KNOWN, start, last).join(
        warehouse.read(MEMBERS, UNIVERSE), on="instrument_id", maintain_order="left"
    )
    was_in = (pl.col("session") >= pl.col("since")) & (pl.col("session") < pl.col("until")).fill_null(True)
    return rows.filter(was_in).drop("since", "until")


def signals(frame: pl.DataFrame, chosen: Mapping[str, Strategy]) -> pl.DataFrame:
    """Rows (session, strategy, instrument_id, weight, model_name, model_version) of every strategy, for all of `frame`.

    Raises StrategyError for a weight that is null or not finite, an unknown instrument, or two weights for one.
    """
    return pl.concat([_signals_of(strategy, frame) for strategy in chosen.values()])


def _signals_of(strategy: Strategy, frame: pl.DataFrame) -> pl.DataFrame:
    keys = ["session", "instrument_id"]
    weights = strategy.weights(frame).select(*keys, pl.col("weight").cast(pl.Float64))
    model = frame.select(*keys, "model_name", "model_version")
    rows = weights.join(model, on=keys, how="left", maintain_order="left")
    _refuse_bad(strategy, weights, frame)
    by = [
        pl.col(c) if strategy.uses_model else pl.lit(None, pl.String).alias(c) for c in ("model_name", "model_version")
    ]
    return rows.select("session", pl.lit(strategy.name).alias("strategy"), "instrument_id", "weight", *by)


def _refuse_bad(strategy: Strategy, weights: pl.DataFrame, frame: pl.DataFrame) -> None:
    keys = ["session", "instrument_id"]
    causes = {
        "a weight that is no number": weights.filter(~pl.col("weight").is_finite().fill_null(False)),
        "a weight for an instrument it was not shown": weights.join(frame, on=keys, how="anti"),
        "two weights for one instrument": weights.filter(weights.select(keys).is_duplicated()),
    }
    for cause, rows in causes.items():
        if rows.height:
            where = f"instrument {rows['instrument_id'][0]}, session {rows['session'][0]}"
            raise StrategyError(f"strategy {strategy.name!r} returned {cause} ({where})", "Mend its weights function")


def signals_of_window(
    warehouse: Warehouse, chosen: Mapping[str, Strategy], first: date, last: date
) -> tuple[pl.DataFrame, str]:
    """The signals of sessions first..last, and the version of the data they were made from."""
    frame = known(warehouse, first, last, max((s.lookback for s in chosen.values()), default=0))
    rows = signals(frame, chosen).filter(pl.col("session").is_between(first, last))
    return rows, frame_version(frame)
