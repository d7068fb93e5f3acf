"""Which backtests a window asks for, and their run: one per strategy, and one of them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from bifrost_assets.backtests.engine import Result, run
from bifrost_assets.backtests.metrics import curve_metrics, metrics_of
from bifrost_assets.portfolio.combine import combined
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_core.provenance import content_hash, frame_version
from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel

COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class Setting:
    """What every backtest of a run has in common."""

    initial_cash: Decimal
    limits: PortfolioLimits
    benchmark: str
    code_version: str
    costs: CostModel = DEFAULT_COSTS

    def parameters(self, members: tuple[str, ...]) -> dict[str, Any]:
        """Everything that the result depends on besides data and code, as JSON would hold it."""
        costs = {name: str(value) for name, value in asdict(self.costs).items()}
        return {"members": list(members), "limits": asdict(self.limits), "costs": costs, "benchmark": self.benchmark}


@dataclass(frozen=True, slots=True)
class Trial:
    """One backtest to run: the signals of `members` over `bars`, in one book. The id hashes all of that."""

    strategy: str
    members: tuple[str, ...]
    signals: pl.DataFrame
    bars: pl.DataFrame
    setting: Setting

    @property
    def first(self) -> date:
        return _day(self.signals["session"].min())

    @property
    def last(self) -> date:
        return _day(self.bars["session"].max())

    @property
    def data_version(self) -> str:
        return content_hash([frame_version(self.signals), frame_version(self.bars)])[:16]

    @property
    def backtest_id(self) -> str:
        setting = self.setting
        window = [self.strategy, self.first, self.last, setting.initial_cash]
        return content_hash([window, setting.parameters(self.members), self.data_version, setting.code_version])[:32]


@dataclass(frozen=True, slots=True)
class Done:
    """A trial's outcome: equity (session, equity, benchmark), trades, metrics."""

    trial: Trial
    equity: pl.DataFrame
    trades: pl.DataFrame
    metrics: dict[str, float]


def trials(signals: pl.DataFrame, bars: pl.DataFrame, members: tuple[str, ...], setting: Setting) -> Iterator[Trial]:
    """One trial per strategy that has signals, and one of all `members` together, each from its first signal on.

    `signals`: session, strategy, instrument_id, weight. `bars`: instrument_id, symbol, session, OHLC, volume,
    total_return, the benchmark's among them. Strategies share the capital equally also where only some have signals.
    """
    books = {**{name: (name,) for name in members}, COMBINED: members}
    for name, book in books.items():
        mine = signals.filter(pl.col("strategy").is_in(list(book)))
        if mine.height:
            since = bars.filter(pl.col("session") >= mine["session"].min())
            yield Trial(name, book, mine, since, setting)


def execute(trial: Trial) -> Done:
    """Trade the trial's book, and put buy-and-hold of the benchmark with the same cash beside it."""
    setting = trial.setting
    tradable = trial.bars.filter(pl.col("symbol") != setting.benchmark)
    symbols = dict(tradable.select("instrument_id", "symbol").unique().iter_rows())
    book = combined(trial.signals, trial.members, setting.limits)
    result = run(tradable, _weights(book, symbols), setting.initial_cash, setting.costs)
    index = trial.bars.filter(pl.col("symbol") == setting.benchmark)
    return _compared(trial, result, index)


def _compared(trial: Trial, result: Result, index: pl.DataFrame) -> Done:
    held = buy_and_hold(result.equity["session"], index, float(trial.setting.initial_cash))
    metrics = metrics_of(result.equity, result.trades)
    rival = {f"benchmark_{name}": value for name, value in curve_metrics(held.to_list()).items() if value == value}
    equity = result.equity.select("session", "equity").with_columns(benchmark=held)
    return Done(trial, equity, result.trades, {**metrics, **rival})


def buy_and_hold(sessions: pl.Series, index: pl.DataFrame, cash: float) -> pl.Series:
    """`cash` put into the index at the close of the first of `sessions` and held: its worth at each session's close.

    `index` (session, total_return). Free of costs: nobody trades an index. A session without an index bar keeps
    the value of the one before.
    """
    returns = index.select("session", "total_return")
    grown = sessions.to_frame("session").join(returns, on="session", how="left", maintain_order="left")
    steps = pl.when(pl.int_range(pl.len()) == 0).then(0.0).otherwise(pl.col("total_return").fill_null(0.0))
    return grown.select(benchmark=cash * (1 + steps).cum_prod()).to_series()


def _weights(book: pl.DataFrame, symbols: Mapping[int, str]) -> dict[date, dict[str, float]]:
    wanted: dict[date, dict[str, float]] = {}
    for session, instrument, weight in book.select("session", "instrument_id", "weight").iter_rows():
        if instrument in symbols:
            wanted.setdefault(session, {})[symbols[instrument]] = weight
    return wanted


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise TypeError(f"{value!r} is no session")
    return value
