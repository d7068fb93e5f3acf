"""How orders are worked: schedules by name, and what is done where one cannot be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bifrost_core.errors import BrokerError
from bifrost_core.settings import load_settings
from bifrost_core.trading.positions import Holdings
from bifrost_core.trading.risk import Quote
from bifrost_core.trading.schedules import Algo, Schedule
from execution_daemon.core.book import Book
from execution_daemon.core.desk import work
from execution_daemon.core.worked import Pace, schedule_of, schedules_of
from tests.execution_daemon.core.conftest import CONTROLS, HOURS, MARKET, batch

D = Decimal
WAYS = [way for way in load_settings().model_fields["execution"].annotation.__args__ if way != "market"]
PACE = Pace(D("0.1"), {"AAPL": (D("0.6"), D("0.4"))})


def with_volume(market, symbol, volume, at):
    quote = Quote(D(50), at, volume=D(volume))
    return replace(market, last_trades={**market.last_trades, symbol: quote})


def test_every_way_to_execute_a_batch_is_a_schedule():
    """A setting that nobody can work would stop the daemon with the first batch."""
    assert set(WAYS) == set(Algo)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_is_worked_as_it_is_set(way):
    """Orders that were to be spread over the day would all be sent at once."""
    market = with_volume(MARKET, "AAPL", 1000, MARKET.now - timedelta(hours=17))
    schedules = schedules_of(way, market, ["AAPL"], PACE)
    decided = work(Book("paper", Holdings(D(1_000_000))), batch({"AAPL": "0.1"}), market, CONTROLS, schedules=schedules)
    assert [intent.denied for intent in decided.intents] == [None]
    assert [intent.parent.schedule.algo for intent in decided.intents if intent.parent] == [way]


@pytest.mark.parametrize("way", ["vwap", "pov"])
def test_what_lacks_its_volume_is_worked_by_time(way):
    """One symbol without minute bars would leave the book half traded."""
    found = schedules_of(way, MARKET, ["AAPL", "ZZZ"], Pace(D("0.1")))
    assert found == {"AAPL": Schedule(Algo.TWAP), "ZZZ": Schedule(Algo.TWAP)}
    with pytest.raises(BrokerError, match="cannot be worked"):
        schedule_of(way, MARKET, "ZZZ", Pace(D("0.1")))


def test_yesterdays_volume_is_not_todays():
    """The first slice after the open would be a tenth of yesterday: all of it at once; or nothing until noon."""
    before = with_volume(MARKET, "AAPL", 5_000_000, HOURS.open_at - timedelta(hours=18))
    assert before.volume("AAPL") == 0
    assert schedule_of("pov", before, "AAPL", PACE).start_volume == 0
    after = with_volume(MARKET, "AAPL", 700, HOURS.open_at + timedelta(minutes=1))
    assert after.volume("AAPL") == 700


def parents(schedules, market, **changes):
    orders = replace(batch({"AAPL": "0.1"}), **changes)
    decided = work(Book("paper", Holdings(D(1_000_000))), orders, market, CONTROLS, schedules=schedules)
    return [intent.parent for intent in decided.intents]


def test_an_order_is_worked_while_the_session_is_open():
    """What fell due in the night would all be sent as one order into the open."""
    twap = {"AAPL": Schedule(Algo.TWAP)}
    (before,) = parents(twap, MARKET)
    assert (before.start_at, before.end_at) == (HOURS.open_at, HOURS.close_at)
    later = replace(MARKET, now=HOURS.open_at + timedelta(hours=1))
    (begun,) = parents(twap, later)
    assert (begun.start_at, begun.end_at) == (later.now, HOURS.close_at)


def test_what_begins_at_noon_follows_the_afternoon():
    """A day's volume would be squeezed into what is left of it, the open's rush at noon."""
    noon = replace(MARKET, now=HOURS.open_at + (HOURS.close_at - HOURS.open_at) / 2)
    profile = {"AAPL": tuple(D(n) for n in ("0.5", "0.1", "0.1", "0.3"))}
    assert schedule_of("vwap", MARKET, "AAPL", Pace(D("0.1"), profile)).profile == profile["AAPL"]
    found = schedule_of("vwap", noon, "AAPL", Pace(D("0.1"), profile)).profile
    assert found == (D("0.125"), D("0.125"), D("0.375"), D("0.375"))
    until = HOURS.open_at + (HOURS.close_at - HOURS.open_at) * 3 / 4
    assert schedule_of("vwap", noon, "AAPL", Pace(D("0.1"), profile, until)).profile == (D("0.25"),) * 4
