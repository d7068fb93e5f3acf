"""Defects of the book and what follows from it."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, SHELL, TRADING, Mutant

MUTANTS = (
    Mutant(
        "reservation_never_released",
        f"{TRADING}/orders.py",
        "        return self.leaves_qty * self.ticket.terms.highest_price(self.ticket.reference_price)\n",
        "        return self.order_qty * self.ticket.terms.highest_price(self.ticket.reference_price)\n",
        "what ended keeps its reservation, until nothing can be traded",
    ),
    Mutant(
        "exposure_ignores_unknown",
        f"{CORE}/book.py",
        "        return (o for o in self.open_orders() if o.status is not OrdStatus.HELD or o.reserved_value)\n",
        "        return (o for o in self.open_orders() if o.status not in {OrdStatus.HELD, OrdStatus.UNKNOWN})\n",
        "an order without an answer counts as none, and may be ordered again",
        tests=("tests/execution_daemon/core/test_desk.py::test_unknown_orders_count_as_if_they_were_filled",),
        invariants=("exposure stays within limits",),
    ),
    Mutant(
        "exposure_ignores_working",
        f"{CORE}/book.py",
        "            _add(known, order.ticket.symbol, order.ticket.side, order.leaves_qty)\n",
        "            pass\n",
        "limits are held against the position alone",
    ),
    Mutant(
        "working_orders_planned_again",
        f"{CORE}/desk.py",
        "        signed_leaves(book),\n",
        "        {},\n",
        "what works already is ordered once more by the next batch",
        tests=("tests/execution_daemon/core/test_desk.py::test_what_works_already_is_not_ordered_again",),
    ),
    Mutant(
        "restart_forgets_unanswered",
        f"{CORE}/book.py",
        "        if order.status is OrdStatus.PENDING_NEW:\n            silence",
        "        if order.status is OrdStatus.HELD:\n            silence",
        "an order whose answer the crash swallowed is never asked for",
    ),
    Mutant(
        "restart_resends",
        f"{CORE}/book.py",
        "            book, more = reported(book, order, silence)\n            effects += more\n",
        "            effects.append(Send(key))\n",
        "after a crash everything unanswered is sent again at once",
    ),
    Mutant(
        "restart_forgets_unknown",
        f"{CORE}/book.py",
        "        elif order.is_unknown:\n            effects.append(Query(key))\n",
        "",
        "an unknown order is not looked up after a crash",
    ),
    Mutant(
        "breaks_do_not_block",
        f"{CORE}/book.py",
        "    return _with_blocks(_with_blocks(book, blocks, unblocks), again, ()), (*blocks, *unblocks, *again)\n",
        "    return book, ()\n",
        "a symbol that differs from the broker's books is traded on",
    ),
    Mutant(
        "blocks_never_clear",
        f"{CORE}/book.py",
        "    unblocks = tuple(Unblock(symbol, code) for symbol in healed)\n",
        "    unblocks = tuple(Unblock(symbol, code) for symbol in healed if not symbol)\n",
        "a break that is mended halts its symbol for ever",
    ),
    Mutant(
        "unproven_never_unblocked",
        f"{CORE}/book.py",
        "        unblocks=tuple(e for e in effects if isinstance(e, Unblock) and _is_resolved(changed, e)),\n",
        "        unblocks=(),\n",
        "a symbol stays blocked although every order in it has its answer",
    ),
    Mutant(
        "acted_before_recorded",
        f"{SHELL}/bookkeeper.py",
        "        for effect in effects:\n"
        "            if isinstance(effect, Record) and not await self._commit(effect):\n",
        "        for effect in effects:\n"
        "            if not isinstance(effect, Block | Unblock):\n"
        "                self.book = book\n"
        "                await self._carry_out(effect)\n"
        "        await asyncio.sleep(0.05)\n"
        "        for effect in effects:\n"
        "            if isinstance(effect, Record) and not await self._commit(effect):\n",
        "what is not durable yet is acted upon",
    ),
    Mutant(
        "held_released_too_early",
        f"{CORE}/contingencies.py",
        "            return qty if first.status is OrdStatus.FILLED else ZERO\n",
        "            return qty\n",
        "the second leg of a change that crosses zero is sent though the first was not filled",
    ),
    Mutant(
        "held_never_released",
        f"{CORE}/contingencies.py",
        "    if qty > 0:\n",
        "    if qty < 0:\n",
        "the second leg of a change that crosses zero is never sent",
    ),
    Mutant(
        "unknown_reserves_nothing",
        f"{TRADING}/orders.py",
        "        if not self.ticket.increases_exposure or self._replaces_another:\n",
        "        is_unknown = self.status is OrdStatus.UNKNOWN\n"
        "        if not self.ticket.increases_exposure or self._replaces_another or is_unknown:\n",
        "the means of an order without an answer are given to another",
        invariants=("what may be executed is reserved",),
    ),
    Mutant(
        "oco_not_reduced",
        f"{CORE}/contingencies.py",
        "        elif order.ticket.contingency.is_oco and not order.is_cancel_wanted:\n",
        "        elif False:\n",
        "both exits of a bracket sell the whole position",
        tests=("tests/execution_daemon/core/test_contingencies.py::test_a_filled_leg_cancels_the_other",),
    ),
    Mutant(
        "replacement_sent_in_full",
        f"{CORE}/contingencies.py",
        "            return min(qty, max(first.order_qty - first.cum_qty, ZERO))\n",
        "            return qty\n",
        "an order that was executed while it was amended is executed again",
        tests=(
            "tests/execution_daemon/core/test_contingencies.py::test_a_replacement_is_sent_for_at_most_what_the_original_left",
        ),
    ),
    Mutant(
        "parent_overshoots",
        f"{CORE}/book.py",
        "sum((c.cum_qty + c.leaves_qty for c in self.children(parent.parent_id)), ZERO)\n",
        "sum((c.cum_qty for c in self.children(parent.parent_id)), ZERO)\n",
        "a slice that works is sent once more with the next one",
        invariants=("slices conserve their parent's quantity",),
    ),
)
