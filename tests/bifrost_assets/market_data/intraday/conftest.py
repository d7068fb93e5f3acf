"""A warehouse of two symbols with instruments and calendar, and a function that loads minutes into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest

from bifrost_assets.market_data.intraday.loading import Loaded, load_minutes
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.intraday.generated import GeneratedMinutes, Spoil, with_universe

Load = Callable[..., Loaded]


@pytest.fixture
def stocks(settings: Settings) -> Warehouse:
    warehouse = Warehouse(with_universe(settings, "AAPL", "IBM"), Role.PIPELINE)
    store_sessions(warehouse)
    register_instruments(warehouse, GeneratedMinutes(warehouse.settings))
    return warehouse


@pytest.fixture
def load(stocks: Warehouse) -> Load:
    """Loads generated minutes of the sessions; `log` collects what was said."""

    def run(
        first: str,
        last: str | None = None,
        spoil: Spoil | None = None,
        now: datetime | None = None,
        log: list[str] | None = None,
    ) -> Loaded:
        provider = GeneratedMinutes(stocks.settings, spoil) if spoil else GeneratedMinutes(stocks.settings)
        window = (date.fromisoformat(first), date.fromisoformat(last or first))
        lines: list[str] = [] if log is None else log
        return load_minutes(stocks, provider, *window, "test", lines.append, now)

    return run
