"""From target weights to orders: whole shares, sells before buys, nothing decided twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from uuid import UUID

from bifrost_core.provenance import content_hash
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.targets import Target
from bifrost_core.trading.terms import Side

ID_LENGTH = 40  # hex characters; Alpaca takes at most 48


class Leg(StrEnum):
    """What an order does to the position: CLOSE brings it nearer to zero, OPEN takes it away from zero."""

    CLOSE = "close"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """A market order for `qty` whole shares, sized at `reference_price` USD."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    reference_price: Decimal
    leg: Leg

    @property
    def signed_qty(self) -> Decimal:
        return self.qty * self.side.sign


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What makes the ids of one plan: the same key gives the same ids, so a plan made twice is sent once."""

    account: str
    batch_id: UUID
    generation: int = 0

    def order_id(self, symbol: str, leg: Leg) -> str:
        """hash(account, batch, symbol, leg, generation), hex."""
        return content_hash([self.account, str(self.batch_id), symbol, leg, self.generation])[:ID_LENGTH]


def target_shares(weight: Decimal, equity: Decimal, price: Decimal) -> Decimal:
    """Whole shares worth at most `weight` of `equity` at `price`: rounded toward zero."""
    if not (weight.is_finite() and equity.is_finite() and price.is_finite()) or price <= 0:
        raise ValueError(f"cannot size weight {weight} of equity {equity} at price {price}")
    return (weight * max(equity, ZERO) / price).to_integral_value(ROUND_DOWN)


def plan(
    key: PlanKey,
    targets: Iterable[Target],
    held: Mapping[str, Decimal],
    equity: Decimal,
    min_trade_value: Decimal = ZERO,
    working: Mapping[str, Decimal] | None = None,
) -> tuple[PlannedOrder, ...]:
    """Orders that take `held` (signed shares) to the targets of `equity` USD.

    Shares still to come from working orders (`working`, signed) count as held. A trade worth less than
    `min_trade_value` is left out, unless it flattens. A change that crosses zero becomes two orders, because
    brokers take a sale and a short sale apart. Symbols without a target are not touched. Sorted: sells first,
    then closing before opening, then by symbol.
    """
    pending = working or {}
    orders: list[PlannedOrder] = []
    for target in targets:
        now = held.get(target.symbol, ZERO) + pending.get(target.symbol, ZERO)
        want = target_shares(target.target_weight, equity, target.reference_price)
        if want != 0 and abs(want - now) * target.reference_price < min_trade_value:
            continue
        orders += _legs(key, target, now, want)
    return tuple(sorted(orders, key=lambda o: (o.side is Side.BUY, o.leg is Leg.OPEN, o.symbol)))


def _legs(key: PlanKey, target: Target, now: Decimal, want: Decimal) -> Iterator[PlannedOrder]:
    kept = want if now * want > 0 and abs(want) < abs(now) else now if now * want > 0 else ZERO
    for leg, change in ((Leg.CLOSE, kept - now), (Leg.OPEN, want - kept)):
        if change != 0:
            yield PlannedOrder(
                client_order_id=key.order_id(target.symbol, leg),
                symbol=target.symbol,
                side=Side.BUY if change > 0 else Side.SELL,
                qty=abs(change),
                reference_price=target.reference_price,
                leg=leg,
            )
