"""Ids never change, symbols may: who is registered, and what a load's symbols mean."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from bifrost_assets.market_data.reference import instrument_ids, symbols_to_load
from bifrost_assets.market_data.reference.instruments import instrument_at, keep_in_step, register_again
from bifrost_assets.market_data.reference.listings import delist, rename
from bifrost_core.errors import BifrostError, ProviderError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.reference.conftest import Directory, meaning, one, register

DAY = date(2022, 6, 9)


def test_a_night_asks_the_vendor_only_about_new_symbols(warehouse: Warehouse, directory: Directory) -> None:
    """A vendor would be asked about every symbol every night, and limit us."""
    assert set(register(warehouse, directory, "FB", "IBM", "XYZ")) == {"FB", "IBM", "SPX"}
    assert register(warehouse, directory, "FB", "IBM") == ()
    assert sorted(directory.asked) == ["FB", "IBM", "SPX", "XYZ"]
    listed = warehouse.read("select symbol, listed_from from reference.instruments order by symbol").rows()
    assert listed == [("FB", date(2012, 5, 18)), ("IBM", None), ("SPX", None)]


def test_a_symbol_that_was_renamed_away_is_not_registered_anew(known: Warehouse, directory: Directory) -> None:
    """Facebook's next night would begin a second Facebook."""
    with known.transaction() as connection:
        rename(connection, known.settings, "FB", "META", DAY, "me")
    asked = len(directory.asked)
    assert register(known, directory, "FB", "META") == ()
    assert len(directory.asked) == asked


def test_a_symbol_means_another_company_later(known: Warehouse, directory: Directory) -> None:
    """Bars of the new company would continue those of the old one."""
    with known.transaction() as connection:
        delist(connection, known.settings, "IBM", date(2013, 2, 1), None, "me")
    again = register_again(known, directory, "IBM", "me")
    with known.transaction() as connection:
        assert meaning(connection, "IBM", "2013-01-31", "2013-02-01") == [
            instrument_at(connection, "IBM", date(2001, 1, 2)),
            again,
        ]
        assert one(connection, "select count(*) from reference.instruments where symbol = 'IBM'") == 2
    with pytest.raises(BifrostError, match=f"IBM is instrument {again}"):
        register_again(known, directory, "IBM", "me")
    with pytest.raises(ProviderError, match="XYZ is unknown here"):
        register_again(known, directory, "XYZ", "me")


def test_symbols_of_a_window(known: Warehouse, directory: Directory) -> None:
    """A vendor's answer under a symbol that changed hands would land at the wrong company."""
    with known.transaction() as connection:
        fb, ibm = instrument_ids(connection)["FB"], instrument_ids(connection)["IBM"]
        rename(connection, known.settings, "FB", "META", DAY, "me")
        delist(connection, known.settings, "IBM", date(2013, 2, 1), None, "me")
    again = register_again(known, directory, "IBM", "me")
    with known.transaction() as connection:
        now, then = instrument_ids(connection), instrument_ids(connection, date(2013, 1, 31))
        later = instrument_ids(connection, date(2023, 1, 3))
        assert (now["META"], now["IBM"]) == (fb, again)
        assert "FB" not in now
        assert (then["FB"], then["IBM"]) == (fb, ibm)
        assert then["META"] == fb, "a vendor knows the past under the symbol of today"
        assert "FB" not in later, "what it means by then is unknown"
        assert instrument_ids(connection, date(2000, 1, 3), date(2013, 1, 31))["IBM"] == ibm
        assert instrument_ids(connection, date(2000, 1, 3), date(2013, 2, 28))["IBM"] == again
        assert instrument_ids(connection, date(2000, 1, 3), date(2023, 1, 3))["FB"] == fb


def test_what_is_gone_is_not_asked_for_again(known: Warehouse, directory: Directory) -> None:
    """Every night would report the delisted as failed, until nobody reads what failed."""
    settings = known.settings.model_copy(update={"universe": ("FB", "IBM", "NEW")})
    with known.transaction() as connection:
        delist(connection, settings, "IBM", date(2013, 2, 1), None, "me")
        assert symbols_to_load(connection, settings, date(2013, 1, 31)) == ("FB", "IBM", "NEW", "SPX")
        assert symbols_to_load(connection, settings, date(2013, 2, 1)) == ("FB", "NEW", "SPX")
    register_again(known, directory, "IBM", "me")
    with known.transaction() as connection:
        assert symbols_to_load(connection, settings, date(2013, 2, 1)) == ("FB", "IBM", "NEW", "SPX")


def test_a_renamed_symbol_is_asked_for_as_what_it_is_now(known: Warehouse) -> None:
    """After `reference rename` nobody would ask for the old symbol or for the new one: no bars, and no alarm."""
    settings = known.settings.model_copy(update={"universe": ("FB", "IBM")})
    both = known.settings.model_copy(update={"universe": ("FB", "META")})
    with known.transaction() as connection:
        rename(connection, settings, "FB", "META", DAY, "me")
        rename(connection, settings, "META", "MVRS", date(2023, 1, 3), "me")
        assert symbols_to_load(connection, settings, date(2022, 6, 8)) == ("FB", "IBM", "SPX")
        assert symbols_to_load(connection, settings, DAY) == ("META", "IBM", "SPX")
        assert symbols_to_load(connection, both, DAY) == ("META", "SPX"), "each once"
        assert symbols_to_load(connection, settings, date(2023, 1, 3)) == ("MVRS", "IBM", "SPX")
        delist(connection, settings, "MVRS", date(2023, 2, 1), None, "me")
        assert symbols_to_load(connection, settings, date(2023, 2, 1)) == ("IBM", "SPX")


def test_nobody_gets_a_symbol_twice_at_a_time(known: Warehouse, settings: Settings) -> None:
    """Two loads that register at once would split one company's bars between two ids."""
    row = ("insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
           " values ('NEW', 'x', 'equity', 'XNYS', 'USD')")  # fmt: skip
    with connect(settings, Role.PIPELINE) as first, connect(settings, Role.PIPELINE) as second:
        first.execute(row)
        second.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute(row)
        second.rollback()
        first.commit()
        with pytest.raises(psycopg.errors.ExclusionViolation, match="one_listed_instrument_a_symbol"):
            second.execute(row)


OVERLAPPING = {
    "('FB', 'XNYS', 2, '2013-01-02', '2013-01-03')": "one_symbol_one_instrument",
    "('META', 'XNYS', 1, '2013-01-02', null)": "one_instrument_one_symbol",
}


def test_aliases_never_overlap(known: Warehouse) -> None:
    """A join by symbol and session would give a bar twice, or another company's."""
    for alias, constraint in OVERLAPPING.items():
        with pytest.raises(psycopg.errors.ExclusionViolation, match=constraint), known.transaction() as connection:
            connection.execute(f"insert into reference.symbols values {alias}")  # type: ignore[arg-type]


def test_what_an_unknown_symbol_was_is_told(known: Warehouse) -> None:
    """`FB` is what many people still type."""
    with known.transaction() as connection:
        rename(connection, known.settings, "FB", "META", DAY, "me")
        with pytest.raises(BifrostError, match=r"FB meant no instrument on 2023-01-03.*until 2022-06-09"):
            instrument_at(connection, "FB", date(2023, 1, 3))


def test_two_instruments_swap_symbols_on_one_day(known: Warehouse) -> None:
    """The night after a change told ahead would fail on whichever row came first."""
    with known.transaction() as connection:
        fb, ibm = instrument_ids(connection)["FB"], instrument_ids(connection)["IBM"]
        connection.execute("delete from reference.symbols")
        connection.execute(
            "insert into reference.symbols values ('IBM', 'XNYS', %(fb)s, current_date, null),"
            " ('FB', 'XNYS', %(ibm)s, current_date, null)", {"fb": fb, "ibm": ibm},
        )  # fmt: skip
        keep_in_step(connection)
        assert one(connection, "select symbol from reference.instruments where instrument_id = %s", fb) == "IBM"
        assert one(connection, "select symbol from reference.instruments where instrument_id = %s", ibm) == "FB"


def test_an_exchange_without_facts_is_refused_with_those_known(settings: Settings, directory: Directory) -> None:
    """A foreign key's name tells nobody which setting to mend."""
    with pytest.raises(BifrostError, match=r"no XBUD.*XNYS"):
        register(Warehouse(settings.model_copy(update={"exchange": "XBUD"}), Role.PIPELINE), directory, "FB")
