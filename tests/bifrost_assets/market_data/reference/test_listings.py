"""Renames and delistings: what they change, how they are told, and that they can be undone."""

from __future__ import annotations

from datetime import date

import pytest

from bifrost_assets.market_data.evidence import read_payload
from bifrost_assets.market_data.providers.base import Payload, SymbolBars, empty_bars
from bifrost_assets.market_data.reference import instrument_ids, record_delistings
from bifrost_assets.market_data.reference.listings import delist, rename, undo
from bifrost_assets.market_data.reference.shown import show
from bifrost_core.errors import BifrostError
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.reference.conftest import aliases, meaning, one

DAY, NEXT = date(2013, 2, 1), date(2013, 2, 4)
ACTIONS = "select kind, ex_session, value, is_cancelled from raw.corporate_actions order by ingested_at"


def test_a_rename_moves_the_symbol_and_nothing_else(known: Warehouse) -> None:
    """Bars, features and positions hang on the id."""
    with known.transaction() as connection:
        fb = instrument_ids(connection)["FB"]
        assert rename(connection, known.settings, "FB", "META", DAY, "me")
        assert meaning(connection, "FB", "2013-01-31", "2013-02-01") == [fb, None]
        assert meaning(connection, "META", "2013-01-31", "2013-02-01") == [None, fb]
        assert one(connection, "select reference.symbol_of(%s, '2013-01-31')", fb) == "FB"
        assert one(connection, "select symbol from reference.instruments where instrument_id = %s", fb) == "META"
        kind, details = one(connection, "select kind, details from raw.corporate_actions")
        assert (kind, details) == ("symbol_change", {"from": "FB", "to": "META"})
        assert not rename(connection, known.settings, "FB", "META", DAY, "me"), "told twice is told once"
        assert one(connection, "select count(*) from reference.changes") == 1


def test_the_past_can_be_told_too(known: Warehouse) -> None:
    """A vendor knows Facebook as META in 2013, and an index's history of members as FB."""
    with known.transaction() as connection:
        ibm = instrument_ids(connection)["IBM"]
        rename(connection, known.settings, "CTR", "IBM", DAY, "me")
        assert [row[0] for row in aliases(connection, ibm)] == ["CTR", "IBM"]
        assert undo(connection, "IBM", DAY, "me") == "rename CTR IBM 2013-02-01"
        assert aliases(connection, ibm) == [("IBM", date(1900, 1, 1), None)]


IMPOSSIBLE = [
    ("XYZ", "ABC", DAY, "no instrument was XYZ before 2013-02-01, or ABC"),
    ("FB", "IBM", DAY, "another instrument is one of FB, IBM"),
    ("FB", "META", date(2013, 2, 2), "2013-02-02 is no session"),
]


def test_a_rename_that_cannot_be_changes_nothing(known: Warehouse) -> None:
    """Half a rename would leave bars without a symbol."""
    for old, new, day, problem in IMPOSSIBLE:
        with pytest.raises(BifrostError, match=problem), known.transaction() as connection:
            rename(connection, known.settings, old, new, day, "me")
    assert known.read("select count(*) from reference.changes").item() == 0
    assert known.read("select count(*) from reference.symbols").item() == 3


def test_another_change_on_the_same_day_is_not_taken_for_the_one_told(known: Warehouse) -> None:
    """A typing error would be answered with "known already"."""
    with known.transaction() as connection:
        rename(connection, known.settings, "FB", "META", DAY, "me")
        with pytest.raises(BifrostError, match="did not change from FB to MTEA"):
            rename(connection, known.settings, "FB", "MTEA", DAY, "me")


def test_a_delisting_ends_alias_and_listing(known: Warehouse) -> None:
    """A name that is gone would be missed every night, and wanted by every strategy."""
    with known.transaction() as connection:
        ibm = instrument_ids(connection)["IBM"]
        assert delist(connection, known.settings, "IBM", NEXT, 12.5, "me")
        assert one(connection, "select listed_to from reference.instruments where instrument_id = %s", ibm) == DAY
        assert meaning(connection, "IBM", "2013-02-01", "2013-02-04") == [ibm, None]
        assert connection.execute(ACTIONS).fetchall() == [("delisting", NEXT, 12.5, False)]
        assert not delist(connection, known.settings, "IBM", NEXT, 12.5, "me")
        with pytest.raises(BifrostError, match="delisted already, last traded on 2013-02-01"):
            delist(connection, known.settings, "IBM", NEXT, 13.0, "me")


def test_a_worth_that_is_none_is_refused(known: Warehouse) -> None:
    """Every backtest that held it would end in NaN."""
    with known.transaction() as connection:
        for value in (-1.0, float("nan"), float("inf")):
            with pytest.raises(BifrostError, match="cannot be worth"):
                delist(connection, known.settings, "IBM", NEXT, value, "me")


def test_undone_in_the_order_in_which_they_were_done(known: Warehouse) -> None:
    """A delisting told by mistake would stay for ever, or take a rename with it."""
    with known.transaction() as connection:
        ibm = instrument_ids(connection)["IBM"]
        whole = aliases(connection, ibm)
        rename(connection, known.settings, "IBM", "BIG", DAY, "me")
    with known.transaction() as connection:
        delist(connection, known.settings, "BIG", date(2013, 3, 1), None, "me")
    with known.transaction() as connection:
        assert undo(connection, "BIG", DAY, "you") == "delist BIG 2013-03-01"
    with known.transaction() as connection:
        assert undo(connection, "BIG", DAY, "you") == "rename IBM BIG 2013-02-01"
        assert aliases(connection, ibm) == whole
        assert one(connection, "select listed_to, symbol from reference.instruments where instrument_id = %s", ibm) == (
            None, "IBM")  # fmt: skip
        sql = "select count(*) from raw.corporate_actions_as_of() where not is_cancelled"
        assert one(connection, sql) == 0
        assert len(connection.execute(ACTIONS).fetchall()) == 4, "what was said stays said"
        assert [row[0] for row in connection.execute("select actor from reference.changes order by 1")] == [
            "me", "me", "you", "you"]  # fmt: skip
        with pytest.raises(BifrostError, match="no rename or delisting of IBM to undo"):
            undo(connection, "IBM", DAY, "you")


def test_a_persons_word_is_kept_as_a_payload(known: Warehouse) -> None:
    """An action without evidence cannot be told from a planted one."""
    with known.transaction() as connection:
        delist(connection, known.settings, "IBM", NEXT, 0.0, "me")
        provider, sha = one(connection, "select provider, payload_sha256 from raw.corporate_actions")
        said = read_payload(connection, sha)
    assert provider == "operator"
    assert said == b'{"action":"delist","actor":"me","on":"2013-02-04","symbol":"IBM","value":0.0}'


def test_a_delisting_is_known_at_the_close_of_its_session(known: Warehouse) -> None:
    """Told ahead it is known at once; told late it was public on the day."""
    with known.transaction() as connection:
        delist(connection, known.settings, "IBM", NEXT, None, "me")
        known_at = one(connection, "select available_at from raw.corporate_actions")
    assert str(known_at) == "2013-02-04 21:15:00+00:00"


def test_a_providers_delisting_is_written_down_once(known: Warehouse) -> None:
    """Every night after it would tell it again."""
    answer = SymbolBars("IBM", empty_bars(), Payload("IBM", "text/csv", b"bars"), None, listed_to=DAY)
    trading = SymbolBars("FB", empty_bars(), Payload("FB", "text/csv", b"more"), None)
    for _ in range(2):
        with known.transaction() as connection:
            ids = instrument_ids(connection, DAY)
            assert record_delistings(connection, known.settings, "yahoo", [answer, trading], ids) == {}
    with known.transaction() as connection:
        assert connection.execute(ACTIONS).fetchall() == [("delisting", NEXT, None, False)]
        assert one(connection, "select actor from reference.changes") == "provider yahoo"
        assert one(connection, "select payload_sha256 from raw.corporate_actions") == answer.payload.sha256


def ended(symbol: str, on: date) -> SymbolBars:
    return SymbolBars(symbol, empty_bars(), Payload(symbol, "text/csv", symbol.encode()), None, listed_to=on)


def test_a_delisting_after_the_last_session_of_a_week_is_known_on_the_next(known: Warehouse) -> None:
    """A vendor says on which day, which may be a Saturday: the load of everything would stop there."""
    with known.transaction() as connection:
        ids = instrument_ids(connection, DAY)
        answers = [ended("IBM", date(2013, 2, 2)), ended("FB", date(2013, 2, 16))]  # the Monday after it is a holiday
        assert record_delistings(connection, known.settings, "yahoo", answers, ids) == {}
        rows = connection.execute("select ex_session from raw.corporate_actions order by 1").fetchall()
        assert rows == [(date(2013, 2, 4),), (date(2013, 2, 19),)]
        listed_to = "select listed_to from reference.instruments where instrument_id = %s"
        assert one(connection, listed_to, ids["IBM"]) == date(2013, 2, 1)


def test_a_delisting_that_cannot_be_leaves_the_others(known: Warehouse) -> None:
    """One symbol's nonsense would take back the bars of the whole portion."""
    with known.transaction() as connection:
        ids = instrument_ids(connection, DAY)
        answers = [ended("FB", date(2001, 1, 2)), ended("SPX", date(2999, 1, 1)), ended("IBM", DAY)]
        failed = record_delistings(connection, known.settings, "yahoo", answers, ids)
    assert sorted(failed) == ["FB", "SPX"]
    assert "FB was listed only on 2012-05-18" in failed["FB"]
    assert "XNYS has no session after 2999-01-01" in failed["SPX"]
    with known.transaction() as connection:
        listed = "select symbol, listed_to from reference.instruments order by symbol"
        assert connection.execute(listed).fetchall() == [("FB", None), ("IBM", DAY), ("SPX", None)]
        assert one(connection, "select count(*) from raw.payloads") == 1, "nothing of a failed one stays"


def test_a_delisting_before_the_first_alias_is_refused(known: Warehouse) -> None:
    """It would end in a traceback that names no symbol."""
    with known.transaction() as connection:
        connection.execute("update reference.symbols set valid_from = '2012-01-03' where symbol = 'IBM'")
        ids = instrument_ids(connection, DAY)
        failed = record_delistings(connection, known.settings, "yahoo", [ended("IBM", date(2011, 1, 3))], ids)
    assert "nobody was IBM before 2011-01-04" in failed["IBM"]


def test_all_that_is_known_can_be_read(known: Warehouse) -> None:
    """A person asks about the symbol they remember."""
    with known.transaction() as connection:
        rename(connection, known.settings, "FB", "META", DAY, "me")
        text = "\n".join(show(connection, "FB", date(2013, 1, 2)))
    for part in ("FB Inc.", "New York Stock Exchange", "2013-02-01 ..  META on XNYS", "symbol_change FB META", "by me"):
        assert part in text
