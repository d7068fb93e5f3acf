"""One night of 500 symbols through Dagster, from the provider's bytes to the last check, in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.bars import GeneratedProvider
from benchmarks.generated import panel
from benchmarks.result import Result
from benchmarks.world import fresh_warehouse
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse

SYMBOLS, HISTORY = 500, 300
SECONDS, MEGABYTES = 5.0, 600.0  # targets, beside the provider's own time


def run() -> list[Result]:
    """The second night of a process is what a running code location does; the first one pays for the imports."""
    bars = panel(SYMBOLS, HISTORY)
    days = bars["session"].unique().sort().to_list()
    names = sorted(bars["symbol"].unique())
    with fresh_warehouse(
        universe=tuple(names[1:]), benchmark=names[0], first_partition=days[0].isoformat()
    ) as settings:
        provider = GeneratedProvider(bars)
        warehouse = Warehouse(settings, Role.PIPELINE)
        store_sessions(warehouse)
        register_instruments(warehouse, provider)
        load_bars(warehouse, provider, days[0], days[-3], "history")
        panel_file = settings.home / "panel.parquet"
        bars.write_parquet(panel_file)
        environment = {
            **os.environ,
            "BIFROST_HOME": str(settings.home),
            "BIFROST_UNIVERSE": ",".join(settings.universe),
            "BIFROST_BENCHMARK": settings.benchmark,
            "BIFROST_FIRST_PARTITION": settings.first_partition,
        }
        command = [sys.executable, "-m", "benchmarks.nightly", str(panel_file), str(days[-2]), str(days[-1])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        measured = json.loads(done.stdout.splitlines()[-1])
    return [
        Result("night of 500 symbols, bars and their checks", measured["seconds"][1], "s", target=SECONDS),
        Result("the same, first of its process", measured["seconds"][0], "s", target=SECONDS),
        Result("its peak memory", measured["peak_mb"], "MB", target=MEGABYTES),
    ]


def child(panel_file: Path, nights: list[date]) -> None:
    """Load each of `nights` with the assets and checks of the code location; print seconds and peak memory."""
    import time

    import dagster as dg

    from bifrost_assets.market_data import assets
    from bifrost_assets.market_data.definitions import defs
    from bifrost_core.settings import load_settings

    provider = GeneratedProvider(pl.read_parquet(panel_file))
    warehouse = Warehouse(load_settings(), Role.PIPELINE)
    job = dg.define_asset_job("night", dg.AssetSelection.assets(assets.daily_bars), executor_def=dg.in_process_executor)
    resources = {"warehouse": warehouse, "provider": provider}
    resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job], resources=resources)).resolve_job_def("night")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    instance, seconds = dg.DagsterInstance.ephemeral(), []
    for night in nights:
        began = time.monotonic()
        assert resolved.execute_in_process(instance=instance, partition_key=night.isoformat()).success
        seconds.append(time.monotonic() - began)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024  # of this program alone: getrusage's begins with its parent's
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    child(Path(sys.argv[1]), [date.fromisoformat(day) for day in sys.argv[2:]])
