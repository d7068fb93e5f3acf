"""Membership by session: from the settings, or from a file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bifrost_assets.market_data.reference import instrument_ids, update_universe
from bifrost_assets.market_data.reference.listings import delist, rename, undo
from bifrost_assets.market_data.reference.table import TableError
from bifrost_assets.market_data.reference.universe import (
    UniverseError,
    import_universe,
    members_as_of,
    reset_universe,
)
from bifrost_core.errors import BifrostError
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.reference.conftest import add_bars, one

DAY = date(2013, 2, 1)
TODAY = str(datetime.now(UTC).date())  # the server's, too: its sessions are in UTC
FILE = "symbol,valid_from,valid_to\nIBM,2000-01-03,2012-06-01\nFB,2012-06-01,\n"


@pytest.fixture
def traded(known: Warehouse) -> Warehouse:
    """`known`, with bars since 2012-05-18 (FB) and 2000-01-03 (IBM)."""
    with known.transaction() as connection:
        ids = instrument_ids(connection)
        add_bars(connection, ids["FB"], [date(2012, 5, 18), DAY])
        add_bars(connection, ids["IBM"], [date(2000, 1, 3), DAY])
    return known


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "members.csv"
    path.write_text(FILE)
    return path


def members(warehouse: Warehouse, *days: str) -> list[list[str]]:
    with warehouse.transaction() as connection:
        return [members_as_of(connection, date.fromisoformat(day)) for day in days]


def test_a_symbol_taken_out_of_the_settings_was_a_member_before(traded: Warehouse) -> None:
    """Leaving out the losers of a universe makes every backtest look good."""
    with traded.transaction() as connection:
        assert update_universe(connection, ["FB", "IBM"]) == 2
    with traded.transaction() as connection:
        assert update_universe(connection, ["FB"]) == 1
        assert update_universe(connection, ["FB"]) == 0
    assert members(traded, "2001-01-02", "2013-02-01", TODAY) == [["IBM"], ["FB", "IBM"], ["FB"]]


def test_who_comes_back_was_away(traded: Warehouse) -> None:
    """The years between would be filled in once a symbol turned out well."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB", "IBM"])
        connection.execute(
            "update reference.universe_members set valid_to = '2013-01-02' where valid_from < '2012-01-01'"
        )
        assert update_universe(connection, ["FB", "IBM"]) == 1
    assert members(traded, "2012-12-31", "2013-02-01", TODAY) == [["FB", "IBM"], ["FB"], ["FB", "IBM"]]


def test_membership_ends_with_the_listing_and_comes_back_with_it(traded: Warehouse) -> None:
    """A delisted name would be wanted by every later session, or vanish from the earlier ones."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB", "IBM"])
        delist(connection, traded.settings, "IBM", DAY, None, "me")
        assert update_universe(connection, ["FB", "IBM"]) == 0
    assert members(traded, "2013-01-31", "2013-02-01") == [["FB", "IBM"], ["FB"]]
    with traded.transaction() as connection:
        undo(connection, "IBM", date(2013, 1, 31), "me")
    assert members(traded, "2013-02-01") == [["FB", "IBM"]]


def test_members_are_named_as_they_were(traded: Warehouse) -> None:
    """The paper of the day says FB."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB"])
        rename(connection, traded.settings, "FB", "META", DAY, "me")
        assert update_universe(connection, ["META"]) == 0, "the member is the instrument, not its symbol"
    assert members(traded, "2013-01-31", "2013-02-01") == [["FB"], ["META"]]


def test_a_member_that_is_renamed_stays_under_its_old_name_in_the_settings(traded: Warehouse) -> None:
    """The night after a rename would throw it out of the universe, until somebody edits the settings."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB", "IBM"])
        rename(connection, traded.settings, "FB", "META", DAY, "me")
        assert update_universe(connection, ["FB", "IBM"]) == 0
    assert members(traded, TODAY) == [["IBM", "META"]]


def test_a_file_says_who_was_in_when(traded: Warehouse, file: Path) -> None:
    """The settings know only today's members of an index."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB", "IBM"])
        assert import_universe(connection, file, "me") == (2, 2)
    assert members(traded, "2012-05-31", "2012-06-01") == [["IBM"], ["FB"]]
    with traded.transaction() as connection:
        assert update_universe(connection, ["FB", "IBM"]) == 0, "a night must not undo it"
        assert import_universe(connection, file, "me") == (0, 0)
        assert one(connection, "select count(*) from reference.changes") == 1
        before, after = one(connection, "select before, after from reference.changes")
    assert before["removed"] == [["FB", "2012-05-18", None], ["IBM", "2000-01-03", None]]
    assert after["added"] == [["FB", "2012-06-01", None], ["IBM", "2000-01-03", "2012-06-01"]]


def test_the_settings_can_take_over_again(traded: Warehouse, file: Path) -> None:
    """An import would be a door of one direction."""
    with traded.transaction() as connection:
        import_universe(connection, file, "me")
        assert reset_universe(connection, ["FB", "IBM"], "me") == 1
        with pytest.raises(UniverseError, match="follows BIFROST_UNIVERSE already"):
            reset_universe(connection, ["FB"], "me")
        assert update_universe(connection, ["FB", "IBM"]) == 0
    assert members(traded, "2012-05-31", "2013-02-01", TODAY) == [["IBM"], ["FB"], ["FB", "IBM"]]


def test_a_file_may_use_the_symbol_of_the_time(traded: Warehouse, file: Path) -> None:
    """An index's history says FB where today's list says META."""
    with traded.transaction() as connection:
        fb = instrument_ids(connection)["FB"]
        rename(connection, traded.settings, "FB", "META", DAY, "me")
        import_universe(connection, file, "me")
        assert one(connection, "select instrument_id from reference.universe_members where valid_to is null") == fb


BAD = [
    ("", "does not begin with the line symbol,valid_from,valid_to"),
    ("ticker,from,to\nIBM,2000-01-03,\n", "does not begin with the line"),
    ("symbol,valid_from,valid_to\n", "no members"),
    ("symbol,valid_from,valid_to\nIBM,03/01/2000,\n", "line 2: Invalid isoformat"),
    ("symbol,valid_from,valid_to\nIBM,2000-01-03\n", "line 2: 2 cells instead of 3"),
    ("symbol,valid_from,valid_to\n,2000-01-03,\n", "line 2: no symbol"),
    ("symbol,valid_from,valid_to\nIBM,2000-01-03,2000-01-03\n", "line 2: valid_to 2000-01-03 is not after"),
    ("symbol,valid_from,valid_to\n\nXYZ,2000-01-03,\n", "line 3: XYZ meant no instrument on 2000-01-03"),
    ("symbol,valid_from,valid_to\nSPX,2000-01-03,\n", "line 2: SPX is an index"),
    (f"{FILE}FB,2013-01-02,2013-02-01\n", "FB from 2013-01-02 is in already, as FB from 2012-06-01 until today"),
    ("symbol,valid_from,valid_to\n" + "XYZ,2000-01-03,\n" * 7, "(and 2 more)"),
]


def test_a_bad_file_is_refused_whole_with_its_lines(traded: Warehouse, file: Path) -> None:
    """Half a file of members is a biased universe."""
    with traded.transaction() as connection:
        update_universe(connection, ["FB", "IBM"])
        for text, problem in BAD:
            file.write_text(text)
            with pytest.raises(BifrostError) as refused:
                import_universe(connection, file, "me")
            assert problem in str(refused.value)
    assert members(traded, "2013-02-01") == [["FB", "IBM"]]


def test_what_is_no_file_is_named(traded: Warehouse, tmp_path: Path) -> None:
    """A traceback tells nobody which file."""
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with traded.transaction() as connection:
        for path, problem in ((tmp_path / "none.csv", "cannot be read"), (tmp_path / "bytes.csv", "no CSV text")):
            with pytest.raises(TableError, match=problem):
                import_universe(connection, path, "me")
