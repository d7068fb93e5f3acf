"""Costs: to the cent, minimum and cap."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.costs import DEFAULT_COSTS, CostModel, to_cent

SHARES = st.integers(1, 1_000_000).map(Decimal)
PRICES = st.decimals("0.01", "5000", places=2)


@pytest.mark.parametrize(
    ("qty", "price", "usd"),
    [
        ("0", "10", "0.00"),  # nothing traded, nothing charged
        ("1", "500", "1.00"),  # the minimum
        ("200", "50", "1.00"),  # exactly the minimum
        ("201", "50", "1.01"),  # 1.005 rounds half up
        ("1000", "50", "5.00"),
        ("-1000", "50", "5.00"),  # sales cost the same
        ("10", "5", "0.50"),  # the cap of 1 % beats the minimum
    ],
)
def test_commission(qty, price, usd):
    """Exchange, daemon and backtest would disagree about cash."""
    assert DEFAULT_COSTS.commission(Decimal(qty), Decimal(price)) == Decimal(usd)


@given(SHARES, PRICES)
def test_commission_is_whole_cents_and_never_above_its_cap(qty, price):
    """A charge of half a cent, or above 1 % of the trade, would not tie to any statement."""
    charged = DEFAULT_COSTS.commission(qty, price)
    assert charged == to_cent(charged)
    assert 0 <= charged <= to_cent(qty * price * DEFAULT_COSTS.maximum_fraction)


@given(SHARES, PRICES)
def test_slippage_always_costs(qty, price):
    """A sign error would make trading pay."""
    assert DEFAULT_COSTS.slipped_price(qty, price) >= price >= DEFAULT_COSTS.slipped_price(-qty, price)
    assert DEFAULT_COSTS.slippage(qty, price) == DEFAULT_COSTS.slippage(-qty, price) >= 0


def test_slippage_is_in_basis_points():
    """A factor of ten thousand is easily lost."""
    model = CostModel(slippage_bps=Decimal(10))
    assert model.slipped_price(Decimal(1), Decimal(100)) == Decimal("100.1")
    assert model.slippage(Decimal(50), Decimal(100)) == Decimal("5.00")
