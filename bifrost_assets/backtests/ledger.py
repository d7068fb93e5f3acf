"""Reading what backtests trade on, and writing down every one that was run."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from bifrost_assets.backtests.trials import Done, Trial
from bifrost_assets.stamp import Stamp
from bifrost_core.calendar import all_sessions
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse

TRAILING_SESSIONS = 252  # what a night can afford

SIGNALS = """
    select session, strategy, instrument_id, weight
    from signals.signals where session between $1 and $2 order by session, strategy, instrument_id
"""
BARS = """
    select instrument_id, symbol, session, open, high, low, close, volume, total_return
    from marts.fct_daily_bars where session between $1 and $2 order by instrument_id, session
"""
KNOWN = "select metrics::text as metrics from research.backtests where backtest_id = $1"
INSERT = """
    insert into research.backtests (backtest_id, strategy, first_session, last_session, initial_cash, parameters,
        metrics, data_version, code_version, dagster_run_id)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (backtest_id) do nothing
"""


def start_of(mic: str, first: date, last: date) -> date:
    """Where backtests of a window begin: its first session, or TRAILING_SESSIONS before its end if that is earlier."""
    sessions = [s.session for s in all_sessions(mic) if s.session <= last]
    return min(first, sessions[-TRAILING_SESSIONS:][0])


def read(warehouse: Warehouse, first: date, last: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Signals and bars (universe and benchmark) of sessions first..last."""
    settings = warehouse.settings
    traded = [*settings.universe, settings.benchmark]
    bars = warehouse.read(BARS, first, last).filter(pl.col("symbol").is_in(traded))
    return warehouse.read(SIGNALS, first, last), bars


def recorded(warehouse: Warehouse, trial: Trial) -> dict[str, float] | None:
    """The metrics of `trial` if it was run before, else None."""
    found = warehouse.read(KNOWN, trial.backtest_id)
    return json.loads(found["metrics"].item()) if found.height else None


def record(warehouse: Warehouse, done: Done, stamp: Stamp) -> bool:
    """Write one backtest with its curve and trades, in one transaction; False where it is there already."""
    trial, key = done.trial, done.trial.backtest_id
    with warehouse.transaction() as connection:
        cursor = connection.execute(INSERT, (
            key, trial.strategy, trial.first, trial.last, trial.setting.initial_cash,
            json.dumps(trial.setting.parameters(trial.members)), json.dumps(done.metrics), trial.data_version,
            stamp.code_version, stamp.dagster_run_id,
        ))  # fmt: skip
        if cursor.rowcount == 0:
            return False
        copy_frame(connection, done.equity.with_columns(backtest_id=pl.lit(key)), "research.backtest_equity")
        numbered = done.trades.with_row_index("trade_no", offset=1).with_columns(backtest_id=pl.lit(key))
        copy_frame(connection, numbered, "research.backtest_trades")
    return True
