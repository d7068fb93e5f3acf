"""What a book and the orders of a day add up to, kept as running sums: a decision looks at one symbol, not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk.model import FLAT, Alternatives, Exposure, Proposal, Resting, Shape
from bifrost_core.trading.terms import OrdType, Side

NOT_IN_THE_MARKET = frozenset(OrdType) - {OrdType.MARKET, OrdType.LIMIT}  # before a price triggers them
UNCLASSIFIED = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What one more order does to the exposure in its symbol."""

    before: Exposure
    after: Exposure
    increases: bool
    reduces: bool


@dataclass(slots=True)
class Tally:
    """The book by symbol and its sums in USD; `accept` adds an order to all of them.

    `prices` value what is held and working; a parent's unsent shares are working, so its slices add nothing.
    `reserved` is what working orders reserve, `value` and `orders` those of the day. `alike` says when an order of a
    shape was last accepted, `executions` how many of a symbol and side were executed in the last hour, `allotted` how
    much of a parent its slices have, filled and working, `alternatives` how much of the exposures is of orders that
    cancel one another: of several exits one is executed.
    """

    exposures: dict[str, Exposure] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    sectors: Mapping[str, str] = field(default_factory=dict)
    reserved: Decimal = ZERO
    value: Decimal = ZERO
    orders: int = 0
    backlog: int = 0
    known_ids: set[str] = field(default_factory=set)
    resting: dict[str, list[Resting]] = field(default_factory=dict)
    alike: dict[Shape, datetime] = field(default_factory=dict)
    executions: dict[tuple[str, Side], int] = field(default_factory=dict)
    allotted: dict[str, Decimal] = field(default_factory=dict)
    alternatives: dict[Alternatives, Decimal] = field(default_factory=dict)
    gross: Decimal = field(init=False, default=ZERO)
    held: Decimal = field(init=False, default=ZERO)
    settled: Decimal = field(init=False, default=ZERO)
    if_bought: Decimal = field(init=False, default=ZERO)
    if_sold: Decimal = field(init=False, default=ZERO)
    by_sector: dict[str, Decimal] = field(init=False, default_factory=dict)
    unpriced: set[str] = field(init=False, default_factory=set)
    _asked: tuple[Proposal, Change] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        for symbol, exposure in self.exposures.items():
            price = self.prices.get(symbol)
            if price is not None and price.is_finite() and price > 0:
                self.held += abs(exposure.held) * price
                self._move(symbol, FLAT, exposure, price)
            elif exposure != FLAT:
                self.unpriced.add(symbol)

    def change(self, p: Proposal) -> Change:
        """What `p` would change; worked out once however many controls ask."""
        if self._asked is None or self._asked[0] is not p:
            self._asked = (p, self._changed(p, ZERO if p.parent_id else p.qty))
        return self._asked[1]

    def _changed(self, p: Proposal, qty: Decimal) -> Change:
        before = self.exposures.get(p.symbol, FLAT)
        others = self.alternatives.get(Alternatives(p.group, p.symbol, p.side), ZERO) if p.group else ZERO
        alone = before.plus(p.side, -others) if others else before
        reduces = (alone.once_filled(p.awaited) if p.awaited else alone).is_reduced_by(p.side, qty)
        after = before.plus(p.side, max(qty - others, ZERO) if reduces else qty)
        return Change(before, after, after.worst > before.worst, reduces)

    def sector(self, symbol: str) -> str:
        """The sector of `symbol`; instruments without one are a sector of their own."""
        return self.sectors.get(symbol, UNCLASSIFIED)

    def accept(self, p: Proposal, at: datetime) -> None:
        """Count `p` as working for whatever is asked about next."""
        change, price = self.change(p), p.price or ZERO
        self._asked = None
        self.exposures[p.symbol] = change.after
        self._move(p.symbol, change.before, change.after, price)
        if p.group:
            key, added = Alternatives(p.group, p.symbol, p.side), change.after.working - change.before.working
            self.alternatives[key] = self.alternatives.get(key, ZERO) + added
        self.known_ids.add(p.client_order_id)
        self.orders += 1
        if p.parent_id:
            self.allotted[p.parent_id] = self.allotted.get(p.parent_id, ZERO) + p.qty
        else:
            self._count(p, p.qty * price, change.reduces, at)
        if not p.is_parent:
            self._send(p)

    def _count(self, p: Proposal, value: Decimal, reduces: bool, at: datetime) -> None:
        self.value += value
        self.reserved += ZERO if reduces else value
        self.alike[Shape.of(p)] = at
        key = (p.symbol, p.side)
        self.executions[key] = self.executions.get(key, 0) + 1

    def _send(self, p: Proposal) -> None:
        self.backlog += 1
        if p.terms.order_type not in NOT_IN_THE_MARKET and not p.awaited:
            self.resting.setdefault(p.symbol, []).append(Resting(p.side, p.terms.limit_price))

    def _move(self, symbol: str, before: Exposure, after: Exposure, price: Decimal) -> None:
        """Take `after` for `before` in every sum."""
        worse = (after.worst - before.worst) * price
        sector = self.sector(symbol)
        self.gross += worse
        self.by_sector[sector] = self.by_sector.get(sector, ZERO) + worse
        self.settled += (abs(after.settled) - abs(before.settled)) * price
        self.if_bought += (after.held + after.buying - before.held - before.buying) * price
        self.if_sold += (after.held - after.selling - before.held + before.selling) * price
