"""research/backtests as an asset."""

import dagster as dg

from bifrost_assets.backtests import ledger
from bifrost_assets.backtests.plot import as_markdown, curves_png
from bifrost_assets.backtests.trials import Done, Setting, execute, trials
from bifrost_assets.owners import Owner
from bifrost_assets.partitions import SESSIONS, window_of
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_assets.reporting import materialized
from bifrost_assets.stamp import Stamp
from bifrost_assets.strategies.registry import strategies
from bifrost_core.warehouse.warehouse import Warehouse

SHOWN = (
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "turnover",
    "exposure",
    "hit_rate",
    "benchmark_cagr",
)


@dg.asset(
    key=["research", "backtests"],
    group_name="backtests",
    kinds={"python", "postgres"},
    tags={"engine": "backtrader"},
    owners=[Owner.RESEARCH],
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["signals", "signals"]), dg.AssetKey(["marts", "fct_daily_bars"])],
    metadata={"dagster/table_name": "research.backtests"},
)
def backtests(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
    """Each strategy, and all together, traded over the window or at least the year up to its end. Each run is kept."""
    window, settings, stamp = window_of(context), warehouse.settings, Stamp.of(context.run_id)
    first = ledger.start_of(settings.exchange, window.first, window.last)
    setting = Setting(settings.initial_cash, PortfolioLimits.of(settings), settings.benchmark, stamp.code_version)
    wanted = list(trials(*ledger.read(warehouse, first, window.last), tuple(strategies()), setting))
    known = {t.strategy: metrics for t in wanted if (metrics := ledger.recorded(warehouse, t)) is not None}
    done = [execute(trial) for trial in wanted if trial.strategy not in known]
    for one in done:
        ledger.record(warehouse, one, stamp)
    return materialized(context, {"backtests_run": len(done), "backtests_run_before": len(known)}, _report(done, known))


def _report(done: list[Done], known: dict[str, dict[str, float]]) -> dict[str, dg.MetadataValue]:
    metrics = {**known, **{d.trial.strategy: d.metrics for d in done}}
    metadata: dict[str, dg.MetadataValue] = {}
    if metrics:
        columns = [dg.TableColumn("strategy"), *(dg.TableColumn(name, "float") for name in SHOWN)]
        rows = [
            dg.TableRecord({"strategy": name, **{k: round(m[k], 4) if k in m else None for k in SHOWN}})
            for name, m in metrics.items()
        ]
        metadata["metrics"] = dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))
    if done:
        picture = curves_png({d.trial.strategy: d.equity for d in done})
        metadata["equity"] = dg.MetadataValue.md(as_markdown(picture))
    return metadata
