"""The gate on the stored past: a night's bars, what is held of them, and a person's word on it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from benchmarks.detection import NOTHING, SEED, Platform, clean_bars, frame_of
from benchmarks.seeded_errors import Series, plant
from bifrost_assets.market_data.actions import derive_actions
from bifrost_assets.market_data.evidence import Held, quarantine
from bifrost_assets.market_data.expectations import sessions_missing
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.quality.admission import admit
from bifrost_assets.market_data.quality.judging import judge
from bifrost_assets.market_data.quality.settled import Settled
from bifrost_assets.market_data.reference import instrument_ids, register_instruments, store_sessions
from bifrost_core.quarantine import Decision, decide
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.storing import append_vintages

FIRST, BEFORE, NIGHT = date(2005, 1, 3), date(2005, 2, 25), date(2005, 2, 28)  # AAPL split two for one that night
PRICES = ["open", "high", "low", "close", "vendor_adj_close"]


@pytest.fixture
def stored(warehouse: Warehouse) -> Warehouse:
    """The sample's bars up to the session before the night."""
    provider = provider_of(warehouse.settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    load_bars(warehouse, provider, FIRST, BEFORE, "run")
    return warehouse


def tonight(warehouse: Warehouse) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The night's bars with instrument_id, IBM's in pence, and the actions read off the answer."""
    with warehouse.transaction() as connection:
        ids = instrument_ids(connection)
    fetched = provider_of(warehouse.settings).fetch(["AAPL", "IBM", "MSFT"], BEFORE, NIGHT)
    both = pl.concat([one.bars.with_columns(instrument_id=pl.lit(ids[one.symbol], pl.Int32)) for one in fetched.loaded])
    wrong = (pl.col("instrument_id") == ids["IBM"]) & (pl.col("session") == NIGHT)
    both = both.with_columns(
        pl.when(wrong).then(pl.col(name) * 100).otherwise(pl.col(name)).alias(name) for name in PRICES
    )
    found = derive_actions(both, 1e-6).select("instrument_id", "ex_session", "kind", "price_factor")
    return both.filter(pl.col("session") == NIGHT), found


def held_ids(settled: Settled) -> list[int]:
    return settled.held["instrument_id"].to_list()


def test_pence_are_held_a_split_is_not_and_a_decision_settles_it(stored: Warehouse) -> None:
    """What a night must do alone, and what it must remember of the person who looked at it in the morning."""
    bars, found = tonight(stored)
    with stored.transaction() as connection:
        ids = instrument_ids(connection)
    first = admit(stored, bars, found)
    assert held_ids(first) == [ids["IBM"]]
    assert sorted(first.bars["instrument_id"]) == sorted([ids["AAPL"], ids["MSFT"]])
    with stored.transaction() as connection:
        quarantine(connection, [Held("IBM", first.held.drop("instrument_id"), "sample", "0" * 64)], "run")
    row = stored.read("select quarantine_id from quarantine.rows").item()
    decide(stored.settings, [row], Decision.DROP, "pence", "ann")
    again = admit(stored, bars, found)
    assert (held_ids(again), again.bars.height, again.dropped) == ([], 2, 1)


KNOWN = {
    "available_at": pl.col("session").cast(pl.Datetime("us", "UTC")),
    "provider": pl.lit("sample"),
    "payload_sha256": pl.lit("0" * 64),
}


def test_the_database_finds_what_the_detection_table_counts(settings: Settings) -> None:
    """The table is made on frames: it would be that of another program if tables and SQL changed what is found."""
    warehouse = Warehouse(settings.model_copy(update={"universe": ("IBM",)}), Role.PIPELINE)
    store_sessions(warehouse)
    register_instruments(warehouse, provider_of(warehouse.settings))
    with warehouse.transaction() as connection:
        platform = Platform(warehouse.settings, instrument_ids(connection))
    clean = clean_bars(load_settings())
    series, _ = plant({symbol: bars for symbol, bars in clean.items() if symbol != "SPX"}, SEED)
    sent = frame_of({"IBM": series["IBM"], "SPX": Series(clean["SPX"].to_dicts())})
    splits = [("IBM", day) for day in series["IBM"].splits]
    window = (platform.sessions[0], platform.sessions[-1])
    _, on_frames = platform.load(sent, NOTHING, splits, window)

    good, bad = platform.sifted(sent, window[1])
    settled = admit(warehouse, good, platform.actions(good, splits))
    held = {*bad.select("symbol", "session").iter_rows(), *settled.held.select("symbol", "session").iter_rows()}
    assert held == on_frames.held
    append_vintages(warehouse, settled.bars.drop("symbol").with_columns(**KNOWN))
    actions = platform.actions(settled.bars, splits).rename({"ex_session": "session"}).with_columns(**KNOWN)
    with warehouse.transaction() as connection:
        rows = actions.with_columns(ingested_at=pl.lit(datetime.now(UTC))).rename({"session": "ex_session"})
        copy_frame(connection, rows, "raw.corporate_actions")
    doubts = judge(warehouse, *window).doubts
    flagged = {(platform.names[one], day) for one, day in doubts.select("instrument_id", "session").iter_rows()}
    gone = platform.missing(settled.bars, window)
    assert flagged == on_frames.flagged - (gone - held)
    assert sessions_missing(warehouse, ["IBM", "SPX"], *window) == {"IBM": len(gone)}


def test_nothing_new_is_nothing_held(stored: Warehouse) -> None:
    """An empty answer would be an error of the gate."""
    bars, found = tonight(stored)
    settled = admit(stored, bars.clear(), found)
    assert settled.bars.is_empty()
    assert settled.held.is_empty()
