"""What the model learns: each session's features against the relative return that followed."""

from __future__ import annotations

import polars as pl

HORIZON = 5  # sessions that the predicted return spans


def labels(bars: pl.DataFrame, horizon: int = HORIZON) -> pl.DataFrame:
    """Next-`horizon`-session total return less the universe's mean: instrument_id, session, label, label_end.

    `bars` (instrument_id, session, total_return) holds the universe without the index. `label_end` is the session
    whose close completes the label of every instrument of that row's session: before it nobody knows the label.
    Sessions with fewer than two instruments have none.
    """
    index = (1 + pl.col("total_return").fill_null(0.0)).cum_prod().over("instrument_id")
    ahead = bars.sort("instrument_id", "session").with_columns(index=index)
    forward = ahead.select(
        "instrument_id",
        "session",
        forward=(pl.col("index").shift(-horizon) / pl.col("index") - 1).over("instrument_id"),
        end=pl.col("session").shift(-horizon).over("instrument_id"),
    ).drop_nulls()
    return (
        forward.with_columns(
            label=(pl.col("forward") - pl.col("forward").mean()).over("session"),
            label_end=pl.col("end").max().over("session"),
            names=pl.len().over("session"),
        )
        .filter(pl.col("names") > 1)
        .select("instrument_id", "session", "label", "label_end")
    )


def training_frame(features: pl.DataFrame, bars: pl.DataFrame, horizon: int = HORIZON) -> pl.DataFrame:
    """Features (instrument_id, session, ...) with label and label_end, by session; rows without a label are out."""
    joined = features.join(labels(bars, horizon), on=["instrument_id", "session"], how="inner")
    return joined.sort("session", "instrument_id")
