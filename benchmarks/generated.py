"""Generated bars for scale: random walks, labelled as such by their symbols (GEN0001 ...)."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from bifrost_core.calendar import all_sessions

SEED = 20_260_101
FIRST = date(2000, 1, 3)


def panel(symbols: int = 500, sessions: int = 2_520, mic: str = "XNYS") -> pl.DataFrame:
    """symbols x sessions bars, sorted by instrument and session, with the columns of marts.fct_daily_bars."""
    rng = np.random.default_rng(SEED)
    days = [s.session for s in all_sessions(mic) if s.session >= FIRST][:sessions]
    returns = rng.normal(0.0003, 0.02, (symbols, sessions))
    close = 50 * np.exp(np.cumsum(returns, axis=1))
    open_ = close * np.exp(rng.normal(0, 0.005, close.shape))
    high = np.maximum(open_, close) * 1.005
    low = np.minimum(open_, close) * 0.995
    total_return = np.diff(close, axis=1, prepend=np.nan) / np.roll(close, 1, axis=1)
    ids = np.repeat(np.arange(1, symbols + 1, dtype=np.int32), sessions)
    return pl.DataFrame(
        {
            "instrument_id": ids,
            "symbol": [f"GEN{i:04d}" for i in ids],
            "session": pl.Series(days).rechunk().to_list() * symbols,
            "open": open_.ravel(),
            "high": high.ravel(),
            "low": low.ravel(),
            "close": close.ravel(),
            "volume": rng.integers(100_000, 5_000_000, close.size).astype(float),
            "total_return": total_return.ravel(),
        }
    ).with_columns(
        total_return=pl.col("total_return").fill_nan(None),
        available_at=pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("21h15m"),
    )
