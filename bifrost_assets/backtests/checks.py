"""What a recorded backtest promises."""

import dagster as dg

from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_core.warehouse.warehouse import Warehouse

BACKTESTS = dg.AssetKey(["research", "backtests"])

# Every curve starts with the cash, is positive and finite, and has no trade before the session after its first signal.
BROKEN = """
    with curve as (
        select e.backtest_id, (array_agg(e.equity order by e.session))[1] as first_equity,
               (array_agg(e.benchmark order by e.session))[1] as first_benchmark,
               count(*) as sessions, max(e.session) as last_session,
               bool_and(e.equity > 0 and e.equity < 'infinity'
                        and e.benchmark > 0 and e.benchmark < 'infinity') as is_sound
        from research.backtest_equity e group by 1
    ), trade as (
        select backtest_id, min(session) as first_trade, max(session) as last_trade
        from research.backtest_trades group by 1
    )
    select count(*) as backtests,
           count(*) filter (where c.backtest_id is null or not c.is_sound) as unsound,
           count(*) filter (where abs(c.first_equity - b.initial_cash::float8) > 0.01
                            or abs(c.first_benchmark - b.initial_cash::float8) > 0.01) as not_from_the_cash,
           count(*) filter (where t.first_trade <= b.first_session or t.last_trade > b.last_session) as traded_outside
    from research.backtests b
    left join curve c using (backtest_id)
    left join trade t using (backtest_id)
    where b.last_session = $1
"""


@dg.asset_check(asset=BACKTESTS, partitions_def=SESSIONS)
def curves_are_sound(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Each curve starts with the cash, stays finite and positive, and trades only after its first signal."""
    counts = warehouse.read(BROKEN, window_of(context).last).row(0, named=True)
    broken = counts["unsound"] + counts["not_from_the_cash"] + counts["traded_outside"]
    return dg.AssetCheckResult(passed=broken == 0, metadata=counts)
