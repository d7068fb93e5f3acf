"""Reading what backtests trade on, and writing down every one that was run."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from bifrost_assets.backtests.trials import Done, Trial
from bifrost_assets.stamp import Stamp
from bifrost_core.calendar import all_sessions
from bifrost_core.reference import UNIVERSE
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse

TRAILING_SESSIONS = 252  # what a night can afford

# Only of members of the session, and only what could be traded in the next: neither restricted nor gone by then.
SIGNALS = """
    select s.session, s.strategy, s.instrument_id, s.weight
    from signals.signals s
    join reference.universe_periods u on u.universe = $3 and u.instrument_id = s.instrument_id
        and s.session >= u.valid_from and (u.valid_to is null or s.session < u.valid_to)
    join reference.instruments i on i.instrument_id = s.instrument_id
    where s.session between $1 and $2
        and (i.listed_to is null or s.session < i.listed_to)
        and not exists (
            select from reference.restricted_list r
            cross join lateral (
                select min(n.session) as session from reference.sessions n
                where n.exchange_mic = i.exchange_mic and n.session > s.session
            ) following
            where r.instrument_id = s.instrument_id and following.session >= r.valid_from
                and (r.valid_to is null or following.session < r.valid_to)
        )
    order by s.session, s.strategy, s.instrument_id
"""
# Of everything that was ever a member, delisted or not, and the benchmark. What was delisted ends in a bar at what a
# share was worth then (its last close, where nobody said), so that no loss is left out. A symbol of two companies
# stays with the one that has it, or had it last.
BARS = """
    with named as (
        select i.instrument_id, i.listed_to, case when exists (
            select from reference.instruments o
            where o.symbol = i.symbol and o.instrument_id <> i.instrument_id
                and (o.listed_to is null or o.listed_to > i.listed_to)
        ) then i.symbol || '#' || i.instrument_id else i.symbol end as symbol
        from reference.instruments i
        where (i.symbol = $4 and i.listed_to is null)
            or i.instrument_id in (select u.instrument_id from reference.universe_periods u where u.universe = $3)
    )
    select b.instrument_id, n.symbol, b.session, b.open, b.high, b.low, b.close, b.volume, b.total_return
    from marts.fct_daily_bars b
    join named n using (instrument_id)
    where b.session between $1 and $2 and (n.listed_to is null or b.session <= n.listed_to)
    union all
    select n.instrument_id, n.symbol, a.ex_session, w.price, w.price, w.price, w.price, 0, w.price / b.close - 1
    from raw.corporate_actions_as_of() a
    join named n using (instrument_id)
    cross join lateral (
        select session, close from marts.fct_daily_bars
        where instrument_id = n.instrument_id and session <= n.listed_to order by session desc limit 1
    ) b
    cross join lateral (select greatest(coalesce(a.value, b.close), 0.000001) as price) w
    where a.kind = 'delisting' and not a.is_cancelled and a.ex_session between $1 + 1 and $2 and b.session >= $1
    order by 1, 3
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
    """Signals and bars of sessions first..last: of the universe as of each session, and the benchmark."""
    which = (first, last, UNIVERSE)
    return warehouse.read(SIGNALS, *which), warehouse.read(BARS, *which, warehouse.settings.benchmark)


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
