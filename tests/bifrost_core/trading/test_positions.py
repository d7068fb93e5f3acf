"""Positions and cash: identities over any fills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_core.trading.positions import FLAT, Fill, Holdings, Position, apply, hold
from bifrost_core.trading.terms import Side

CASH = Decimal(1_000_000)
FILLS = st.lists(
    st.builds(
        Fill,
        st.sampled_from(["AAPL", "IBM"]),
        st.sampled_from(Side),
        st.integers(1, 10_000).map(Decimal),
        st.decimals("0.01", "1000", places=2),
        st.decimals("0", "50", places=2),
    ),
    max_size=30,
)


def fill(side: str, qty: int, price: str) -> Fill:
    return Fill("AAPL", Side(side), Decimal(qty), Decimal(price))


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        ([("buy", 100, "10")], (100, "10", "0")),
        ([("buy", 100, "10"), ("buy", 100, "20")], (200, "15", "0")),
        ([("buy", 100, "10"), ("sell", 40, "12")], (60, "10", "80")),
        ([("buy", 100, "10"), ("sell", 100, "12")], (0, "0", "200")),
        ([("buy", 100, "10"), ("sell", 150, "12")], (-50, "12", "200")),
        ([("sell", 100, "10"), ("buy", 40, "12")], (-60, "10", "-80")),
        ([("sell", 100, "10"), ("buy", 150, "8")], (50, "8", "200")),
    ],
)
def test_average_cost(fills, expected):
    """The P&L page, and taxes, are this arithmetic."""
    position = FLAT
    for one in fills:
        position = apply(position, fill(*one))
    quantity, avg_cost, realized = expected
    assert position == Position(Decimal(quantity), Decimal(avg_cost), Decimal(realized))


@given(FILLS)
def test_quantities_and_cash_are_sums(fills):
    """Reconciliation compares exactly these sums with the broker's."""
    holdings = hold(CASH, fills)
    for symbol in ("AAPL", "IBM"):
        assert holdings.quantity(symbol) == sum(f.signed_qty for f in fills if f.symbol == symbol)
    assert holdings.cash == CASH - sum(f.signed_qty * f.price + f.commission for f in fills)


@given(FILLS)
def test_cash_and_cost_give_realised_profit(fills):
    """Money would appear or vanish between cash and P&L."""
    holdings = hold(CASH, fills)
    cost = sum(p.quantity * p.avg_cost for p in holdings.positions.values())
    realized = sum(p.realized_pnl for p in holdings.positions.values())
    fees = sum(f.commission for f in fills)
    rounding = Decimal("0.000001") * sum(f.qty for f in fills) * 2 + Decimal("0.00001")
    assert abs((holdings.cash - CASH + cost) - (realized - fees)) <= rounding


@given(FILLS)
def test_an_average_cost_lies_between_the_prices_paid(fills):
    """An average outside its parts is no average."""
    for symbol, position in hold(CASH, fills).positions.items():
        prices = [f.price for f in fills if f.symbol == symbol]
        assert position.quantity == 0 or min(prices) <= position.avg_cost <= max(prices)


def test_equity_needs_every_price():
    """A missing or broken price must not become an equity to size orders by."""
    held = Holdings(Decimal(100), {"AAPL": Position(Decimal(10), Decimal(5))})
    assert held.equity({"AAPL": Decimal(7)}) == Decimal(170)
    for prices in ({}, {"AAPL": Decimal("NaN")}, {"AAPL": Decimal(0)}, {"AAPL": Decimal("Infinity")}):
        assert held.equity(prices) is None
    assert Holdings(Decimal(100), {"IBM": FLAT}).equity({}) == Decimal(100)
