"""Alpaca's JSON in the port's words: what is asked for, what is refused before it is sent, what its ledger says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from execution_daemon.brokers import alpaca_wire as wire
from execution_daemon.brokers.alpaca import AlpacaBroker
from execution_daemon.brokers.alpaca_adjustments import adjustment, is_since, kind_of
from execution_daemon.brokers.port import (
    AdjustmentKind,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    ExecKind,
    OrdType,
    Side,
    Terms,
    TimeInForce,
    turns,
)
from tests.execution_daemon.brokers.test_alpaca_faults import HELD
from tests.execution_daemon.brokers.venue import limit, stop, touched, trailing

PRICE = Decimal("28.10")
ALPACAS = {
    "market": Terms(),
    "limit on close": limit(PRICE, TimeInForce.CLS),
    "fill or kill": limit(PRICE, TimeInForce.FOK),
    "stop": stop(PRICE),
    "stop limit": stop(PRICE, PRICE + 1),
    "trailing stop": trailing(Decimal("0.50")),
}
OURS = {
    "trailing stop limit": trailing(Decimal("0.50"), Decimal("0.10")),
    "market if touched": touched(PRICE),
    "limit if touched": touched(PRICE, PRICE + 1),
    "post-only": limit(PRICE, post_only=True),
    "immediate stop": Terms(OrdType.STOP, TimeInForce.IOC, stop_price=PRICE),
}


def order(terms: Terms) -> BrokerOrder:
    return BrokerOrder("mine-1", "MSFT", Side.BUY, Decimal("0.1"), terms)


@pytest.mark.parametrize("terms", (ALPACAS | OURS).values(), ids=(ALPACAS | OURS).keys())
def test_terms_survive_the_way_there_and_back(terms):
    """A stop would be read back as another order, and found to be foreign."""
    request = wire.order_request(order(terms))
    assert request["qty"] == "0.1"
    assert wire.order_state(HELD | request).terms == terms


def test_what_alpaca_has_not_is_named_only_where_it_is_used():
    """Alpaca refuses fields that it does not know."""
    known = {"client_order_id", "symbol", "side", "type", "time_in_force", "qty"} | {
        "limit_price",
        "stop_price",
        "trail_price",
    }
    for terms in ALPACAS.values():
        assert wire.order_request(order(terms)).keys() <= known
        assert not wire.objection(order(terms), has_extensions=False)


@pytest.mark.parametrize("terms", OURS.values(), ids=OURS.keys())
async def test_what_alpaca_lacks_is_refused_and_not_sent(terms):
    """Alpaca might take it for something else; and a refusal by mistake would be no proof."""
    nobody = AlpacaBroker("http://no-such-host.invalid", "key", "secret", 0.2)
    assert nobody.name == "alpaca"
    with pytest.raises(BrokerRefused, match="Alpaca takes") as refused:
        await nobody.submit(order(terms))
    assert refused.value.report.kind is ExecKind.REJECTED
    await nobody.close()


@pytest.mark.parametrize(
    ("held", "side", "reduces"),
    [("0.1", Side.SELL, True), ("0.09", Side.SELL, False), ("-1", Side.BUY, True), ("1", Side.BUY, False)],
)
def test_reduce_only_is_held_against_the_position_where_alpaca_has_no_such_flag(held, side, reduces):
    """Every exit of a bracket was refused, and a position that was to be flat had lost its stops."""
    mine = BrokerOrder("mine-1", "MSFT", side, Decimal("0.1"), Terms(reduce_only=True))
    assert not wire.objection(mine, has_extensions=False)
    positions = [BrokerPosition("MSFT", Decimal(held), PRICE), BrokerPosition("AAPL", Decimal(-5), PRICE)]
    assert (turns(mine, positions) == "") is reduces
    assert turns(mine, [])


def test_an_order_by_value_can_be_read():
    """One that somebody gave in dollars, elsewhere, has no quantity: nothing was read any more."""
    assert wire.order_state(HELD | {"qty": None, "notional": "500", "filled_qty": "1.5"}).qty == Decimal("1.5")


def test_prices_that_the_broker_works_out_are_no_terms():
    """A trailing stop would seem to be another order each time the market moves."""
    moved = {
        "type": "trailing_stop",
        "trail_price": "0.50",
        "stop_price": "27.63",
        "hwm": "28.13",
        "time_in_force": "day",
    }
    assert wire.order_state(HELD | moved).terms == trailing(Decimal("0.50"))
    by_hand = moved | {"trail_price": None, "trail_percent": "10"}
    assert wire.order_state(HELD | by_hand).terms.trail_offset == Decimal("2.813")


def test_a_correction_in_the_stream_names_what_it_replaces():
    """Both prices would count."""
    data = {"event": "trade_correct", "order": HELD | {"filled_qty": "100"}, "timestamp": "2013-02-20T15:00:00Z"}
    restated = {"execution_id": "new", "previous_execution_id": "old", "qty": "100", "price": "28.12"}
    report = wire.trade_update(data | restated)
    assert report is not None
    assert (report.kind, report.exec_id, report.exec_ref_id) == (ExecKind.TRADE_CORRECT, "new", "old")
    assert (report.last_qty, report.last_px) == (100, Decimal("28.12"))
    bust = wire.trade_update(data | restated | {"event": "trade_bust", "qty": "-100"})
    assert bust is not None
    assert (bust.kind, bust.exec_ref_id, bust.last_qty) == (ExecKind.TRADE_CANCEL, "old", 0)


NO_TRADE = {"id": "20130220000000000::1", "date": "2013-02-20", "net_amount": "-1.02", "qty": "2", "symbol": "T"}


@pytest.mark.parametrize(
    ("activity_type", "kind", "qty"),
    [
        ("DIV", AdjustmentKind.DIVIDEND, 0),
        ("DIVNRA", AdjustmentKind.DIVIDEND, 0),
        ("INT", AdjustmentKind.INTEREST, 0),
        ("FEE", AdjustmentKind.FEE, 0),
        ("CSD", AdjustmentKind.TRANSFER, 0),
        ("JNLC", AdjustmentKind.TRANSFER, 0),
        ("JNLS", AdjustmentKind.TRANSFER, 2),
        ("SPLIT", AdjustmentKind.SPLIT, 2),
        ("SSP", AdjustmentKind.SPLIT, 2),
        ("MA", AdjustmentKind.OTHER, 2),
        ("NEW_IN_2030", AdjustmentKind.OTHER, 2),
    ],
)
def test_only_what_moves_shares_moves_them(activity_type, kind, qty):
    """A dividend on two shares would be two more shares."""
    entry = adjustment(NO_TRADE | {"activity_type": activity_type})
    assert (entry.kind, entry.qty_change, entry.cash_change) == (kind, qty, Decimal("-1.02"))
    assert kind_of(activity_type) is kind


def test_an_entry_that_has_only_a_date_counts_for_its_whole_day():
    """What was booked in the afternoon would be cut off with the morning."""
    fields = NO_TRADE | {"activity_type": "FEE"}
    at = adjustment(fields).at
    assert at == datetime(2013, 2, 20, 5, tzinfo=UTC)  # midnight in New York
    assert is_since(fields, at, datetime(2013, 2, 20, 21, tzinfo=UTC))
    assert not is_since(fields, at, datetime(2013, 2, 21, 5, tzinfo=UTC))
    exact = fields | {"created_at": "2013-02-20T20:00:00Z"}
    assert not is_since(exact, adjustment(exact).at, datetime(2013, 2, 20, 21, tzinfo=UTC))
