"""A share that is renamed while the settings keep its old symbol: its bars go on, and a hole in them is seen."""

from __future__ import annotations

from datetime import date

from bifrost_assets.market_data.expectations import sessions_missing
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.reference import register_instruments, store_sessions, wanted_symbols
from bifrost_assets.market_data.reference.listings import rename
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.frame_provider import FrameProvider, days, flat

FIRST, LAST = date(2013, 2, 11), date(2013, 2, 15)
STORED = """
    select i.symbol, count(*) as bars, count(distinct instrument_id) as instruments
    from raw.daily_bars_as_of() b join reference.instruments i using (instrument_id) group by i.symbol order by i.symbol
"""


def test_a_rename_ends_neither_the_bars_nor_the_alarm(settings: Settings) -> None:
    """A share would drop out of every table on the day of its new symbol, and all checks would pass."""
    warehouse = Warehouse(settings.model_copy(update={"universe": ("AAA",), "benchmark": "SPX"}), Role.PIPELINE)
    sessions = days(FIRST, LAST)
    on = sessions[3]
    rows = [flat(day, 10.0 + n, 100.0 + n) for n, day in enumerate(sessions)]
    vendor = FrameProvider({"AAA": rows[:3], "SPX": rows})
    store_sessions(warehouse)
    register_instruments(warehouse, vendor)
    load_bars(warehouse, vendor, FIRST, sessions[2], "run")
    with warehouse.transaction() as connection:
        rename(connection, warehouse.settings, "AAA", "ZZZ", on, "me")

    load_bars(warehouse, vendor, on, LAST, "run")
    assert sessions_missing(warehouse, wanted_symbols(warehouse.settings), on, LAST) == {"AAA": 2}
    vendor.rows["ZZZ"] = rows[3:]
    load_bars(warehouse, vendor, on, LAST, "run")
    assert sessions_missing(warehouse, wanted_symbols(warehouse.settings), FIRST, LAST) == {}
    assert warehouse.read(STORED).rows() == [("SPX", 5, 1), ("ZZZ", 5, 1)]
