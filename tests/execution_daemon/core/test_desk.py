"""From batch and book to decided intents."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, Limit, LimitCode, Limits
from bifrost_core.trading.orders import BlockCode, Order, OrdStatus
from bifrost_core.trading.positions import Holdings, Position
from bifrost_core.trading.risk import RiskCode
from bifrost_core.trading.terms import TimeInForce
from execution_daemon.core.book import Blocked, Book
from execution_daemon.core.desk import work
from tests.execution_daemon.core.conftest import CONTROLS, MARKET, OPEN, QUOTES, batch, ticket

D = Decimal
RICH = Book("paper", Holdings(D(1_000_000)))


def outcomes(book=RICH, weights=None, market=MARKET, controls=CONTROLS) -> dict[str, str]:
    decided = work(book, batch(weights or {"AAPL": "0.2", "IBM": "0.1"}), market, controls)
    return {i.ticket.symbol: str(i.denied.code) if i.denied else "ACCEPTED" for i in decided.intents}


def test_orders_are_sized_by_equity_and_reserved():
    """Shares, reservation and what the database is told must be of one arithmetic."""
    decided = work(RICH, batch({"AAPL": "0.2"}), MARKET, CONTROLS)
    (intent,) = decided.intents
    assert (intent.ticket.order_qty, intent.denied) == (D(4000), None)
    assert D(intent.as_json()["reserved_value"]) == D(200_000)
    assert decided.reserve_limit == D(2_000_000)
    written = json.loads(orjson.dumps(intent.as_json()))
    assert (UUID(written["batch_id"]), datetime.fromisoformat(written["valid_until"])) == (
        intent.ticket.batch_id,
        intent.ticket.valid_until,
    )


@pytest.mark.parametrize(
    ("before_open", "expected"), [(timedelta(minutes=3), TimeInForce.OPG), (timedelta(minutes=2), TimeInForce.DAY),
                                  (timedelta(0), TimeInForce.DAY), (-timedelta(hours=1), TimeInForce.DAY)]
)  # fmt: skip
def test_the_auction_is_entered_while_it_can_be(before_open, expected):
    """An opening order after 9:28 is refused, and nothing is traded that day."""
    assert replace(MARKET, now=OPEN - before_open).time_in_force is expected


def test_earlier_orders_of_the_plan_count_for_later_ones():
    """Each of them would fit, together they do not."""
    poor = replace(CONTROLS, limits=Limits([replace(lim, value=D("0.25")) if lim.code is LimitCode.MAX_GROSS else lim
                                            for lim in DEFAULT_LIMITS]))  # fmt: skip
    assert outcomes(controls=poor) == {"AAPL": "ACCEPTED", "IBM": RiskCode.MAX_GROSS}


def test_unknown_orders_count_as_if_they_were_filled():
    """An order without an answer may be a position already."""
    unknown = Order(ticket("u", "MSFT", qty=39_000), OrdStatus.UNKNOWN)
    book = replace(RICH, orders={"u": unknown})
    assert outcomes(book, {"AAPL": "0.2"}) == {"AAPL": RiskCode.MAX_GROSS}


def test_a_blocked_symbol_and_a_blocked_account():
    """A break halts its symbol; one of cash halts all."""
    one = replace(RICH, blocked={"IBM": Blocked(BlockCode.OVERFILL, "x")})
    assert outcomes(one) == {"AAPL": "ACCEPTED", "IBM": RiskCode.SYMBOL_BLOCKED}
    every = replace(RICH, blocked={"*": Blocked(BlockCode.RECONCILIATION_BREAK, "x")})
    assert set(outcomes(every).values()) == {RiskCode.SYMBOL_BLOCKED}


def test_without_an_equity_only_what_is_to_go_is_planned():
    """A held symbol without a price makes the equity unknown: nothing may be sized by a guess."""
    book = Book("paper", Holdings(D(1000), {"FB": Position(D(10)), "IBM": Position(D(7))}))
    assert outcomes(book, {"AAPL": "0.2", "IBM": "0"}) == {"IBM": "ACCEPTED"}


def test_a_missing_last_trade_denies():
    """No price to hold the reference against."""
    market = replace(MARKET, last_trades={"AAPL": QUOTES["AAPL"]})
    assert outcomes(market=market) == {"AAPL": "ACCEPTED", "IBM": RiskCode.PRICE_MISSING}


def test_the_second_leg_of_a_change_through_zero_waits_and_falls_with_the_first():
    """A short sale would be sent before the long position is sold, or wait for ever for a sale that was denied."""
    long = Book("paper", Holdings(D(1_000_000), {"AAPL": Position(D(100), D(50))}))
    decided = work(long, batch({"AAPL": "-0.01"}), MARKET, CONTROLS)
    first, second = (intent.ticket for intent in decided.intents)
    assert (first.order_qty, first.is_held, second.is_held) == (D(100), False, True)
    assert second.contingency.after == first.client_order_id
    blocked = replace(long, blocked={"AAPL": Blocked(BlockCode.OVERFILL, "x")})
    codes = [i.denied and i.denied.code for i in work(blocked, batch({"AAPL": "-0.01"}), MARKET, CONTROLS).intents]
    assert codes == [RiskCode.SYMBOL_BLOCKED, RiskCode.SYMBOL_BLOCKED]


def test_what_works_already_is_not_ordered_again():
    """The next batch would buy once more what the last one's orders are about to bring."""
    working = Order(ticket("w", qty=4000), OrdStatus.NEW)
    decided = work(replace(RICH, orders={"w": working}), batch({"AAPL": "0.2"}), MARKET, CONTROLS)
    assert decided.intents == ()


def test_each_order_is_decided_on_when_it_is_taken_and_counts_for_the_next():
    """The first are written while the next are decided; taken all at once or in parts, the decisions are the same."""
    weights = {"AAPL": "0.3", "IBM": "0.2"}
    power = Limit(LimitCode.BUYING_POWER, D("0.4"), "equity_fraction")
    tight = replace(CONTROLS, limits=CONTROLS.limits.with_rows([power]))
    at_once = work(RICH, batch(weights), MARKET, tight).intents
    in_parts = work(RICH, batch(weights), MARKET, tight)
    parts = list(in_parts.parts(1))
    assert [len(part) for part in parts] == [1, 1]
    assert sum(parts, ()) == in_parts.intents == at_once
    assert [intent.denied and intent.denied.code for intent in at_once] == [None, RiskCode.BUYING_POWER]
