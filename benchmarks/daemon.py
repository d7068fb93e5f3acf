"""The daemon as a process: cold start, memory, what it costs while idle, and how soon it is back after kill -9.

With 500 orders in its book and the settings of a real installation, against the paper exchange's process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil

from benchmarks.chaos.servers import running_server
from benchmarks.chaos.shop import QUICK, Shop, opened
from benchmarks.result import Result
from bifrost_core.settings import Settings

SYMBOLS = 500
DEATHS = 5
IDLE_SECONDS = 20.0
SETTLE_SECONDS = 3.0
SEED = 1


def run() -> list[Result]:
    """One shop: started on an empty book, then killed with 500 working orders, then left alone with 500 positions."""
    with big_shop() as shop:
        shop.start()
        started = shop.recoveries[0].seconds
        recoveries = back_after_deaths(shop)
        shop.close_session()
        idle, resident = at_rest(shop)
    return [
        Result("daemon, cold start to ready", started, "s", target=1.0),
        Result("daemon, reconciled and ready after kill -9, 500 orders, worst of 5", max(recoveries), "s", target=5.0),
        Result("daemon, resident memory with 500 positions", resident / 2**20, "MiB", target=120),
        Result("daemon, idle CPU", idle * 100, "% of a core", target=1.0),
    ]


@contextmanager
def big_shop() -> Iterator[Shop]:
    """A shop with a market of 500 symbols and settings as installed."""
    installed = {name: Settings.model_fields[name].default for name in QUICK}
    with (
        running_server(SYMBOLS) as server,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        opened(server, Random(SEED), Path(folder), **installed) as shop,
    ):
        yield shop


def back_after_deaths(shop: Shop) -> list[float]:
    """Seconds from each start after a kill -9 to ready, with a batch of 500 working."""
    shop.until_decided(shop.post())
    before = len(shop.recoveries)
    for death in range(DEATHS):
        shop.daemon.kill()
        wanted = before + death + 1
        shop.until(lambda wanted=wanted: len(shop.recoveries) >= wanted, "the daemon to be back")  # type: ignore[misc]
    return [one.seconds for one in shop.recoveries[before:]]


def at_rest(shop: Shop) -> tuple[float, int]:
    """Share of a core that the daemon uses while nothing happens, and its resident bytes."""
    process = psutil.Process(shop.daemon.pid)
    time.sleep(SETTLE_SECONDS)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(IDLE_SECONDS)
    used = sum(process.cpu_times()[:2]) - before
    return used / (time.monotonic() - began), process.memory_info().rss
