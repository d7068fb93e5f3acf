"""What trading costs: one model, used by backtests, by the paper exchange and by the daemon's estimates."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
TICK = Decimal("0.000001")
BASIS_POINT = Decimal("0.0001")


def to_cent(amount: Decimal) -> Decimal:
    """`amount` USD to the cent, halves away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class CostModel:
    """Commission per share with a minimum per order fill and a cap as a share of its value; slippage in basis points.

    The shape is that of Interactive Brokers' fixed US stock schedule: USD 0.005 a share, at least USD 1.00,
    at most 1 % of the trade's value. `slippage_bps` is what a backtest pays against the price it aims at;
    an exchange with real prices charges none.
    """

    per_share: Decimal = Decimal("0.005")
    minimum_commission: Decimal = Decimal("1.00")
    maximum_fraction: Decimal = Decimal("0.01")
    slippage_bps: Decimal = Decimal("2")

    def commission(self, qty: Decimal, price: Decimal) -> Decimal:
        """USD charged on an execution of `qty` shares (signed or not) at `price`, to the cent."""
        shares = abs(qty)
        if shares == 0:
            return Decimal("0.00")
        charged = max(shares * self.per_share, self.minimum_commission)
        return to_cent(min(charged, shares * price * self.maximum_fraction))

    def slippage(self, qty: Decimal, price: Decimal) -> Decimal:
        """USD lost on `qty` shares against `price`, to the cent."""
        return to_cent(abs(qty) * price * self.slippage_bps * BASIS_POINT)

    def slipped_price(self, qty: Decimal, price: Decimal) -> Decimal:
        """The price after slippage: above `price` for a buy (positive `qty`), below it for a sale; six decimals."""
        direction = 1 if qty > 0 else -1
        return (price * (1 + direction * self.slippage_bps * BASIS_POINT)).quantize(TICK, ROUND_HALF_UP)


DEFAULT_COSTS = CostModel()
