"""The restricted list: dated, without overlaps, and every change of it on record."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from bifrost_assets.market_data.reference import instrument_ids
from bifrost_assets.market_data.reference.restricted import restrict, restrictions, unrestrict
from bifrost_core.errors import BifrostError
from bifrost_core.reference import Blocks
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.reference.conftest import one

DAY, LATER = date(2013, 2, 1), date(2013, 3, 1)


def is_restricted(connection: psycopg.Connection, *days: date) -> list[bool]:
    ibm = instrument_ids(connection)["IBM"]
    return [one(connection, "select reference.is_restricted(%s, %s)", ibm, day) for day in days]


def test_restricted_from_a_day_until_another(known: Warehouse) -> None:
    """A list without dates rewrites what was allowed at the time."""
    with known.transaction() as connection:
        restrict(connection, "IBM", DAY, LATER, "we advise them", "compliance")
        days = (date(2013, 1, 31), DAY, date(2013, 2, 28), LATER)
        assert is_restricted(connection, *days) == [False, True, True, False]
        with pytest.raises(BifrostError, match="on the restricted list already: from 2013-02-01 until 2013-03-01"):
            restrict(connection, "IBM", date(2013, 2, 15), None, "again", "compliance")


def test_the_end_of_a_restriction_is_told_apart_from_one_that_never_began(known: Warehouse) -> None:
    """What was forbidden for a time must stay on record; what never was must not."""
    with known.transaction() as connection:
        ibm = instrument_ids(connection)["IBM"]
        restrict(connection, "IBM", DAY, None, "deal", "me")
        unrestrict(connection, "IBM", LATER, "me")
        ended = {"valid_from": "2013-02-01", "valid_to": "2013-03-01", "reason": "deal", "blocks": "opening"}
        assert restrictions(connection, ibm) == [ended]
        unrestrict(connection, "IBM", DAY, "me")
        assert restrictions(connection, ibm) == []
        with pytest.raises(BifrostError, match="IBM is not restricted from 2013-02-01 on"):
            unrestrict(connection, "IBM", DAY, "me")
        found = connection.execute("select action, before, after from reference.changes order by change_id").fetchall()
    assert [row[0] for row in found] == ["restrict", "unrestrict", "unrestrict"]
    assert found[2][1:] == ([ended], [])


def test_an_entry_says_whether_positions_may_be_closed(known: Warehouse) -> None:
    """Who must not sell either would be let to, and who must get out could not."""
    with known.transaction() as connection:
        ibm = instrument_ids(connection)["IBM"]
        restrict(connection, "IBM", DAY, None, "deal", "me", Blocks.EVERYTHING)
        assert [row["blocks"] for row in restrictions(connection, ibm)] == ["everything"]


def test_an_empty_time_is_refused(known: Warehouse) -> None:
    """Days typed in the wrong order would restrict nothing, silently."""
    with known.transaction() as connection, pytest.raises(BifrostError, match="2013-02-01 is not after 2013-03-01"):
        restrict(connection, "IBM", LATER, DAY, "deal", "me")


REWRITES = ("update reference.changes set actor = 'x'", "delete from reference.changes")


def test_nobody_rewrites_who_changed_what(known: Warehouse, owner: Warehouse) -> None:
    """The audit of a list that decides what is traded."""
    with known.transaction() as connection:
        restrict(connection, "IBM", DAY, None, "deal", "me")
    for statement in REWRITES:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), known.transaction() as connection:
            connection.execute(statement)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"), owner.transaction() as connection:
            connection.execute(statement)  # type: ignore[arg-type]
