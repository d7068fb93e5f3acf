"""The feature columns over a generated panel, against the same columns in pandas, both ways people write them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.generated import panel
from benchmarks.result import Result
from bifrost_assets.features.daily import FEATURES, daily_features

if TYPE_CHECKING:
    import pandas as pd

TARGET = 0.1  # a tenth of the peer's time: ten times as fast
REPEATS = 3


def run() -> list[Result]:
    """Best of three of each, on the same panel in the same process; columns are compared first."""
    bars = panel()
    index = bars.filter(pl.col("instrument_id") == 1).select("session", "total_return")
    ours, seconds = best(lambda: daily_features(bars, index))
    frame, market = bars.to_pandas(), index.to_pandas()
    grouped, grouped_seconds = best(lambda: pandas_groupby(frame, market))
    _, wide_seconds = best(lambda: pandas_wide(frame, market))
    ensure_equal(ours, grouped)
    name = "features, 500 x 2,520"
    return [
        Result(f"{name}, against groupby", seconds, "s", "pandas groupby", grouped_seconds, TARGET),
        Result(f"{name}, against wide", seconds, "s", "pandas wide frames", wide_seconds),
    ]


def best(work: Callable[[], Any]) -> tuple[Any, float]:
    """The last result and the shortest time of REPEATS."""
    times = []
    for _ in range(REPEATS):
        began = time.monotonic()
        result = work()
        times.append(time.monotonic() - began)
    return result, min(times)


def ensure_equal(ours: pl.DataFrame, theirs: pd.DataFrame) -> None:
    """Both compute the same thing, or the comparison of their speed means nothing."""
    for name in FEATURES:
        mine, peers = ours[name].to_numpy(), theirs[name].to_numpy()
        both = ~(np.isnan(mine) | np.isnan(peers))
        if not np.allclose(mine[both], peers[both], rtol=1e-6, atol=1e-9) or both.mean() < 0.85:
            raise AssertionError(f"{name} differs from its pandas twin")


def pandas_groupby(bars: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
    """groupby().transform and rolling, as in most notebooks."""
    frame = bars.merge(market.rename(columns={"total_return": "market"}), on="session", how="left")
    by = "instrument_id"
    frame["index"] = (1 + frame["total_return"].fillna(0)).groupby(frame[by]).cumprod()
    out = frame[[by, "session"]].copy()
    price = frame.groupby(by)["index"]
    for n in (1, 5, 21, 63, 252):
        out[f"return_{n}d"] = frame["index"] / price.shift(n) - 1
    out["volatility_21d"] = rolled(frame, "total_return", 21).std().to_numpy() * 252**0.5
    out["momentum_12_1"] = price.shift(21) / price.shift(252) - 1
    change = price.diff().fillna(0)
    gain, loss = (wilder(part, frame[by]) for part in (change.clip(lower=0), (-change).clip(lower=0)))
    out["rsi_14d"] = 100 * gain / (gain + loss)
    mean, deviation = rolled(frame, "index", 21).mean().to_numpy(), rolled(frame, "index", 21).std().to_numpy()
    out["zscore_21d"] = (frame["index"] - mean) / deviation
    frame["shares"] = frame["volume"] * frame["close"] / frame["index"]
    out["volume_ratio_21d"] = frame["shares"] / rolled(frame, "shares", 21).mean().to_numpy()
    frame["together"], frame["squared"] = frame["total_return"] * frame["market"], frame["market"] ** 2
    frame["paired"] = frame["market"].where(frame["total_return"].notna())
    m = {
        n: rolled(frame, n, 252).mean().to_numpy() for n in ("together", "total_return", "paired", "squared", "market")
    }
    out["beta_252d"] = (m["together"] - m["total_return"] * m["paired"]) / (m["squared"] - m["market"] ** 2)
    return out


def rolled(frame: pd.DataFrame, column: str, window: int) -> Any:
    """A rolling window within each instrument."""
    return frame.groupby("instrument_id")[column].rolling(window)


def wilder(change: pd.Series[float], by: pd.Series[int]) -> pd.Series[float]:
    """Wilder's average with the memory cut after 252 sessions."""
    smooth = change.groupby(by).ewm(alpha=1 / 14, adjust=False).mean().droplevel(0)
    return smooth - (13 / 14) ** 252 * smooth.groupby(by).shift(252)


def pandas_wide(bars: pd.DataFrame, market: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """One sessions x instruments frame per column: pandas at its fastest."""
    returns, close, volume = (
        bars.pivot(index="session", columns="instrument_id", values=name)
        for name in ("total_return", "close", "volume")
    )
    m = market.set_index("session")["total_return"]
    index = (1 + returns.fillna(0)).cumprod()
    change = index.diff().fillna(0)
    gain, loss = (
        cut(part.ewm(alpha=1 / 14, adjust=False).mean()) for part in (change.clip(lower=0), (-change).clip(lower=0))
    )
    shares = volume * close / index
    together, squared = returns.mul(m, axis=0).rolling(252).mean(), (m**2).rolling(252).mean()
    return {
        **{f"return_{n}d": index / index.shift(n) - 1 for n in (1, 5, 21, 63, 252)},
        "volatility_21d": returns.rolling(21).std() * 252**0.5,
        "momentum_12_1": index.shift(21) / index.shift(252) - 1,
        "rsi_14d": 100 * gain / (gain + loss),
        "zscore_21d": (index - index.rolling(21).mean()) / index.rolling(21).std(),
        "volume_ratio_21d": shares / shares.rolling(21).mean(),
        "beta_252d": together.sub(returns.rolling(252).mean().mul(m.rolling(252).mean(), axis=0)).div(
            squared - m.rolling(252).mean() ** 2, axis=0
        ),
    }


def cut(smooth: pd.DataFrame) -> pd.DataFrame:
    """Wilder's average with the memory cut after 252 sessions."""
    return smooth - (13 / 14) ** 252 * smooth.shift(252)
