"""What the exchange refuses, with Alpaca's statuses and codes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.market import Instrument

CLIENT_ORDER_ID_LENGTH = 48
FRACTIONAL_TYPES = frozenset({OrdType.MARKET, OrdType.LIMIT, OrdType.STOP, OrdType.STOP_LIMIT})
SMALLEST_FRACTION = Decimal("0.000000001")


class Refused(Exception):
    """An answer other than success: HTTP status, Alpaca's code, and why."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A request for an order, as it came in.

    `trail_percent` (of the high-water mark) stands instead of `terms.trail_offset`, which is then what it is in USD at
    the first mark.
    """

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    terms: Terms
    trail_percent: Decimal | None = None


def unauthorized() -> Refused:
    return Refused(401, 40110000, "request is not authorized")


def malformed(message: str) -> Refused:
    return Refused(422, 40010001, message)


def unknown_order(order_id: str) -> Refused:
    return Refused(404, 40410000, f"order not found for {order_id}")


def not_cancelable(status: str) -> Refused:
    return Refused(422, 42210000, f"order is not cancelable: it is {status}")


def duplicate(client_order_id: str) -> Refused:
    return Refused(422, 40010001, f"client_order_id must be unique: {client_order_id} exists")


def insufficient_shares(asked: Decimal, there: Decimal) -> Refused:
    """Crossing zero takes two orders, as at Alpaca."""
    return Refused(403, 40310000, f"insufficient qty available for order (requested: {asked}, available: {there})")


def backwards(now: datetime, asked: datetime) -> Refused:
    return Refused(
        409, 40910000, f"the clock stands at {now.isoformat()} and does not move back to {asked.isoformat()}"
    )


def not_a_replay() -> Refused:
    return Refused(409, 40910001, "this exchange follows the wall clock (BIFROST_CLOCK=system)")


def check_form(order: NewOrder) -> None:
    """Refuse what no market state could make acceptable."""
    if not 0 < len(order.client_order_id) <= CLIENT_ORDER_ID_LENGTH:
        raise malformed(f"client_order_id must have 1 to {CLIENT_ORDER_ID_LENGTH} characters")
    if not order.qty.is_finite() or order.qty <= 0:
        raise malformed("qty must be > 0")
    if order.qty != order.qty.to_integral_value():
        _check_fraction(order)
    if objection := order.terms.objection():
        raise malformed(objection)


def _check_fraction(order: NewOrder) -> None:
    """Alpaca's rule: fractions of a share only in plain day orders."""
    if order.terms.order_type not in FRACTIONAL_TYPES or order.terms.time_in_force is not TimeInForce.DAY:
        raise malformed("fractional orders must be market, limit, stop or stop_limit day orders: send whole shares")
    if order.qty != order.qty.quantize(SMALLEST_FRACTION):
        raise malformed("qty has at most 9 decimals")


def check_listed(order: NewOrder, instrument: Instrument | None) -> None:
    """Refuse what is not listed, or not traded."""
    if instrument is None:
        raise Refused(422, 42210000, f'could not find asset "{order.symbol}"')
    if not instrument.is_tradable:
        raise Refused(422, 42210000, f"asset {order.symbol} is not tradable: it is an index")


def check_buying_power(needed: Decimal, available: Decimal) -> None:
    """Refuse what the account cannot carry."""
    if needed > available:
        left = max(available, Decimal(0))
        raise Refused(403, 40310000, f"insufficient buying power (requested: {needed:.2f}, available: {left:.2f})")
