"""What would have been another way: the chain from features to targets with and without a revision.

Both sides are computed the same way from the raw tables, once from what was stored just before the revision and once
with it, so that nothing but the revision makes the difference. Models stay as they were trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from bifrost_assets.asof import bars_as_of, known_at
from bifrost_assets.features.daily import FEATURES, LOOKBACK_SESSIONS
from bifrost_assets.features.history import features_of, history_start
from bifrost_assets.models.inference import predict_assigned
from bifrost_assets.portfolio.combine import combined
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_assets.revisions.found import Revision
from bifrost_assets.strategies.registry import strategies
from bifrost_assets.strategies.signals import known as shown_to_strategies
from bifrost_assets.strategies.signals import signals
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.warehouse import Warehouse

KEY = ["session", "instrument_id"]
NOISE = 1e-9

COMPUTED_TO = "select max(session) as last from features.daily"
FILLS = """
    select b.as_of_session as session, i.instrument_id, f.last_qty * f.last_px as value
    from trading.fills f
    join trading.orders o using (client_order_id)
    join signals.target_batches b on b.batch_id = o.batch_id
    join reference.symbols i on i.symbol = f.symbol
        and f.session >= i.valid_from and (i.valid_to is null or f.session < i.valid_to)
    where b.as_of_session between $1 and $2
"""


@dataclass(frozen=True, slots=True)
class Chain:
    """What follows from one view of the data: features, predictions, signals and target weights, by KEY."""

    features: pl.DataFrame
    predictions: pl.DataFrame
    signals: pl.DataFrame
    targets: pl.DataFrame


def effects(warehouse: Warehouse, revision: Revision) -> pl.DataFrame:
    """One row per instrument that `revision` revised or touched, with the columns of research.revision_effects.

    Sessions that were computed before the revision was known are compared, as far on as features look back.
    """
    first, last = revision.first, _last_affected(warehouse, revision)
    touched = _revised(revision)
    if last is None:
        return _row_per_instrument(touched, first, revision.last)
    at = revision.revised_at
    before, after = (
        _chain(warehouse, first, last, known=at, stored=stored) for stored in (at - timedelta(microseconds=1), at)
    )
    weights = _changed(before.targets, after.targets, ["weight"])
    largest = weights.group_by("instrument_id").agg(largest_weight_change=pl.col("largest").max())
    counted = [
        touched,
        _count(_changed(before.features, after.features, FEATURES), "feature_rows"),
        _count(_changed(before.predictions, after.predictions, ["prediction"]), "predictions"),
        _count(_changed(before.signals, after.signals, ["weight"], [*KEY, "strategy"]), "signals"),
        _count(weights, "targets"),
        largest,
        _fills(warehouse, weights, first, last),
    ]
    joined = counted[0]
    for part in counted[1:]:
        joined = joined.join(part, on="instrument_id", how="full", coalesce=True)
    return _row_per_instrument(joined, first, last)


def _last_affected(warehouse: Warehouse, revision: Revision) -> date | None:
    """The last computed session that did not know the revision and looks back to part of it; or None."""
    settings = warehouse.settings
    computed = warehouse.read(COMPUTED_TO)["last"].item()
    sessions = [s.session for s in all_sessions(settings.exchange) if s.session >= revision.first]
    revised = sum(day <= revision.last for day in sessions)
    reached = [
        day
        for day in sessions[: revised + LOOKBACK_SESSIONS - 1]
        if computed is not None and day <= computed and known_at(settings, day) < revision.revised_at
    ]
    return max(reached, default=None)


def _revised(revision: Revision) -> pl.DataFrame:
    return revision.rows.group_by("instrument_id").agg(
        revised_sessions=pl.col("session").n_unique(), largest_change=pl.col("change").abs().max()
    )


def _chain(warehouse: Warehouse, first: date, last: date, *, known: datetime, stored: datetime) -> Chain:
    """Everything that follows for sessions first..last from the data as known at `known` and stored by `stored`."""
    settings, chosen = warehouse.settings, strategies()
    lookback = max((s.lookback for s in chosen.values()), default=0)
    frame = shown_to_strategies(warehouse, first, last, lookback)
    bars = bars_as_of(warehouse, history_start(settings.exchange, first), last, known, stored)
    computed = features_of(bars, settings.benchmark).filter(pl.col("session").is_between(first, last))
    shown = _with_features(frame, computed)
    assigned = shown.filter(pl.col("model_version").is_not_null() & (pl.col("session") >= first))
    predictions = predict_assigned(settings, assigned.with_columns(feature_version=pl.lit("")))
    shown = shown.drop("prediction").join(
        pl.concat([_predictions(frame.filter(pl.col("session") < first)), _predictions(predictions)]),
        on=KEY,
        how="left",
        maintain_order="left",
    )
    made = signals(shown.select(frame.columns), chosen).filter(pl.col("session") >= first)
    targets = combined(made, chosen.keys(), PortfolioLimits.of(settings))
    return Chain(computed, _predictions(predictions), made, targets)


def _predictions(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(*KEY, "prediction")


def _with_features(frame: pl.DataFrame, computed: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the features of `computed` in the place of its own, where it has them."""
    both = frame.join(computed.select(*KEY, *FEATURES), on=KEY, how="left", suffix="__new", maintain_order="left")
    is_new = pl.struct(KEY).is_in(computed.select(pl.struct(KEY)).to_series().implode())
    return both.with_columns(
        pl.when(is_new).then(pl.col(f"{name}__new")).otherwise(pl.col(name)).alias(name) for name in FEATURES
    ).select(frame.columns)


def _changed(
    before: pl.DataFrame, after: pl.DataFrame, values: list[str] | tuple[str, ...], keys: list[str] | None = None
) -> pl.DataFrame:
    """Rows (keys, largest) in which a value differs by more than rounding, or that one side lacks."""
    by = keys or KEY
    both = before.select(*by, *values, there=True).join(
        after.select(*by, *values, there=True), on=by, how="full", coalesce=True, suffix="__after"
    )
    gaps = [(pl.col(name).fill_null(0.0) - pl.col(f"{name}__after").fill_null(0.0)).abs() for name in values]
    appeared = pl.any_horizontal(
        *(pl.col(name).is_null() != pl.col(f"{name}__after").is_null() for name in (*values, "there"))
    )
    return (
        both.with_columns(largest=pl.max_horizontal(*gaps))
        .filter((pl.col("largest") > NOISE) | appeared)
        .select(*by, "largest")
    )


def _count(changed: pl.DataFrame, name: str) -> pl.DataFrame:
    return changed.group_by("instrument_id").agg(pl.len().alias(name))


def _fills(warehouse: Warehouse, weights: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Fills of orders that followed from targets which would have been other ones."""
    traded = warehouse.read(FILLS, first, last).join(weights.select(KEY), on=KEY, how="semi")
    return (
        traded.with_columns(pl.col("value").cast(pl.Decimal(20, 6)))
        .group_by("instrument_id")
        .agg(fills=pl.len(), fill_value=pl.col("value").sum())
    )


def _row_per_instrument(parts: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """`parts` with 0 for what was not counted; instruments that nothing happened to are not among them."""
    counts = ("revised_sessions", "feature_rows", "predictions", "signals", "targets", "fills")
    there = parts.with_columns(
        *(
            pl.lit(None).alias(name)
            for name in (*counts, "largest_weight_change", "fill_value")
            if name not in parts.columns
        )
    )
    return there.with_columns(
        *(pl.col(name).cast(pl.Int64).fill_null(0) for name in counts),
        pl.col("largest_weight_change").cast(pl.Float64).fill_null(0.0),
        pl.col("fill_value").cast(pl.Decimal(20, 6)).fill_null(0),
        first_session=pl.lit(first),
        last_session=pl.lit(last),
    ).sort("instrument_id")
