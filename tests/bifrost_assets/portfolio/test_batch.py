"""The batch the daemon gets: whole, exact, written once, and announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.portfolio.batch import CHANNEL, BatchError, Inputs, build, contributions, read_inputs, write
from bifrost_assets.portfolio.limits import PortfolioLimits
from bifrost_assets.portfolio.stored import faults, newest_batch
from bifrost_assets.stamp import Stamp
from bifrost_core.settings import Settings
from bifrost_core.trading.targets import validate
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import load, rows, sample_bars

DAY = date(2013, 2, 15)  # a Friday; Monday is a holiday
STAMP = Stamp("run", "code")
UNIVERSE = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def inputs(weights: dict[tuple[str, int], float]) -> Inputs:
    signals = pl.DataFrame(
        [(DAY, strategy, instrument, weight, "v") for (strategy, instrument), weight in weights.items()],
        schema={"session": pl.Date, "strategy": pl.String, "instrument_id": pl.Int32, "weight": pl.Float64,
                "data_version": pl.String},
        orient="row",
    )  # fmt: skip
    closes = sample_bars().filter((pl.col("session") == DAY) & (pl.col("symbol") != "SPX"))
    return Inputs(DAY, signals, closes.select("instrument_id", "symbol", "close").sort("symbol"))


SIGNALS = inputs({("a", 1): 0.7, ("a", 3): 1 / 3, ("b", 1): 0.2, ("b", 4): -0.1})


def test_every_symbol_of_the_universe_has_a_target(settings: Settings) -> None:
    """A symbol without a target is not touched: yesterday's position would stay for ever."""
    batch = build(settings, ("a", "b"), SIGNALS, STAMP)
    assert [t.symbol for t in batch.targets] == UNIVERSE
    assert [t.target_weight == 0 for t in batch.targets] == [False, True, False, False, True]
    assert batch.targets[0].target_weight == Decimal("0.3")  # 0.45 cut to the limit per name
    assert faults(batch, PortfolioLimits.of(settings), UNIVERSE) == []


def test_the_batch_is_tradable_around_the_next_session_only(settings: Settings) -> None:
    """Monday 2013-02-18 was a holiday: a batch that expires then is never traded."""
    batch = build(settings, ("a", "b"), SIGNALS, STAMP)
    assert batch.valid_from == datetime(2013, 2, 19, 13, 30, tzinfo=UTC)
    assert batch.valid_until == datetime(2013, 2, 19, 21, 0, tzinfo=UTC)


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-2, 2), max_size=4), st.integers(-(10**8), 10**8))
def test_contributions_add_up_to_the_weight(own: dict[str, float], units: int) -> None:
    """A position that its strategies do not explain cannot be attributed."""
    weight = Decimal(units) / 10**8
    parts = contributions(own, weight)
    assert set(parts) == set(own)
    if own:
        assert sum(map(Decimal, parts.values())) == weight


def test_a_batch_is_written_once_and_survives_the_database(settings: Settings, warehouse: Warehouse) -> None:
    """Rounding on the way in breaks the hash, and the daemon trades nothing; a second insert would trade twice."""
    batch = build(settings, ("a", "b"), SIGNALS, STAMP)
    again = build(settings, ("b", "a"), SIGNALS, Stamp("another run", "code"))
    for one, is_new in ((batch, True), (again, False)):
        with warehouse.transaction() as connection:
            assert write(connection, one) is is_new
    stored = newest_batch(warehouse, settings.account, DAY)
    assert stored == batch
    assert validate(batch, batch.valid_from, UNIVERSE, None) is None


def test_the_bell_rings_when_the_batch_can_be_read(settings: Settings, warehouse: Warehouse) -> None:
    """A bell before the commit wakes the daemon for nothing, and it sleeps through the batch."""
    batch = build(settings, ("a", "b"), SIGNALS, STAMP)
    with connect(settings, Role.TRADER) as listener:
        listener.autocommit = True
        listener.execute(f"listen {CHANNEL}")
        with warehouse.transaction() as connection:
            write(connection, batch)
            assert list(listener.notifies(timeout=0.1)) == []
        heard = [n.payload for n in listener.notifies(timeout=5, stop_after=1)]
        assert heard == [str(batch.batch_id)]
        assert listener.execute("select count(*) from signals.targets").fetchone() == (5,)


def test_a_batch_that_fails_half_way_leaves_nothing(settings: Settings, warehouse: Warehouse) -> None:
    """A head without its targets is a half-written batch."""
    batch = build(settings, ("a", "b"), SIGNALS, STAMP)
    twice = replace(batch, targets=(*batch.targets, batch.targets[0]))
    with pytest.raises(psycopg.errors.UniqueViolation), warehouse.transaction() as connection:
        write(connection, twice)
    assert rows(warehouse, "select count(*) from signals.target_batches") == [(0,)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [("update signals.targets set target_weight = 0.31 where symbol = 'AAPL'", "max_weight"),
     ("update signals.targets set reference_price = reference_price + 1 where symbol = 'FB'", "content hashes to"),
     ("delete from signals.targets where symbol = 'MSFT'", "5 targets announced, 4 stored")],
)  # fmt: skip
def test_tampering_is_found(settings: Settings, warehouse: Warehouse, change: str, fault: str) -> None:
    """The check on the stored batch is what the desk looks at before it trades."""
    with warehouse.transaction() as connection:
        write(connection, build(settings, ("a", "b"), SIGNALS, STAMP))
        connection.execute(change)
    stored = newest_batch(warehouse, settings.account, DAY)
    assert stored is not None
    assert any(fault in found for found in faults(stored, PortfolioLimits.of(settings), UNIVERSE))


def test_a_session_without_bars_is_named(warehouse: Warehouse) -> None:
    """An empty batch would flatten the book because a file was late."""
    load(warehouse, sample_bars().filter(pl.col("session") == DAY))
    assert read_inputs(warehouse, DAY).closes["symbol"].to_list() == UNIVERSE
    with pytest.raises(BatchError, match="2013-02-19"):
        read_inputs(warehouse, date(2013, 2, 19))
