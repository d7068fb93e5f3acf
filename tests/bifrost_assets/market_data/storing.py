"""Bars into the warehouse without a load around them."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from bifrost_assets.market_data import vintages
from bifrost_assets.market_data.vintages import Appended
from bifrost_core.warehouse.warehouse import Warehouse


def append_vintages(warehouse: Warehouse, bars: pl.DataFrame, at: datetime | None = None) -> Appended:
    """Append `bars` in one transaction, stored `at` (default: now)."""
    with warehouse.transaction() as connection:
        now = vintages.take_turn(connection)
        return vintages.append_vintages(warehouse, connection, bars, at or now)
