"""Defects of reconciliation."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, MEMORY, SHELL, Mutant

MUTANTS = (
    Mutant(
        "reconcile_ignores_cash",
        f"{CORE}/reconcile.py",
        "        *_cash_breaks(book, snapshot),\n",
        "",
        "money that is missing is not noticed",
    ),
    Mutant(
        "reconcile_ignores_positions",
        f"{CORE}/reconcile.py",
        "        *_position_breaks(book, snapshot),\n",
        "",
        "shares that are missing are not noticed",
    ),
    Mutant(
        "reconcile_ignores_foreign_orders",
        f"{CORE}/reconcile.py",
        '            yield Break("order_foreign", key, state.symbol, "absent", state.status)\n',
        "            yield from ()\n",
        "somebody else's orders in the account are not noticed",
    ),
    Mutant(
        "reconcile_ignores_prices",
        f"{CORE}/reconcile.py",
        "        elif (held := _amounts(fill.qty, fill.price, fill.commission)) != told:\n",
        "        elif (held := _amounts(fill.qty, fill.price, fill.commission)) != told and False:\n",
        "an execution at another price is not noticed",
    ),
    Mutant(
        "catch_up_skips_fills",
        f"{CORE}/reconcile.py",
        "    heard += _in_turn(book, fills)\n",
        "",
        "what the stream lost stays lost",
    ),
    Mutant(
        "taken_back_after_what_overtook_it",
        f"{CORE}/reconcile.py",
        "        return one.client_order_id in overtaken and one.event.kind in CORRECTIONS\n",
        "        return False\n",
        "an execution that no longer stands fills an order, which ends with its bust and works on",
        tests=("tests/execution_daemon/core/test_reconcile.py::test_what_was_taken_back_does_not_fill_an_order",),
    ),
    Mutant(
        "catch_up_skips_ends",
        f"{CORE}/reconcile.py",
        "        if not book.orders[s.client_order_id].status.is_terminal\n    ]\n",
        "        if False\n    ]\n",
        "an order whose end was not heard works on for ever",
    ),
    Mutant(
        "adjustments_ignored",
        f"{SHELL}/reconciler.py",
        "                await self.keeper.apply(Adjusted(entry))\n",
        "                pass\n",
        "dividends, fees and transfers are missing from cash",
    ),
    Mutant(
        "adjustment_cash_not_moved",
        f"{MEMORY}/events.py",
        '    if row["cash_change"] and cash is not None:\n',
        "    if False:\n",
        "a dividend is known and its cash is not",
    ),
    Mutant(
        "trades_before_reconciled",
        f"{SHELL}/daemon.py",
        "        if found.is_clean and not self.is_ready:\n",
        "        if not self.is_ready:\n",
        "a book that differs is traded on from the start",
    ),
    Mutant(
        "cash_tolerated",
        f"{CORE}/reconcile.py",
        "    if ours != theirs:\n",
        "    if abs(ours - theirs) > 1:\n",
        "a difference of less than a dollar is called rounding",
        invariants=("a difference is found",),
    ),
    Mutant(
        "positions_tolerated",
        f"{CORE}/reconcile.py",
        "        if held != told:\n",
        "        if abs(held - told) > 10:\n",
        "some shares too few are called clean",
        invariants=("a difference is found",),
    ),
    Mutant(
        "prices_tolerated",
        f"{CORE}/reconcile.py",
        'return f"{qty.normalize():f} at {price.normalize():f}, commission',
        'return f"{qty.normalize():f} at {price:.0f}, commission',
        "an execution that differs by cents is called the same",
        invariants=("a difference is found",),
    ),
)
