"""Defects that the simulation has found, planted again."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, SHELL, TRADING, Mutant

MUTANTS = (
    Mutant(
        "bust_is_a_break",
        f"{CORE}/reconcile.py",
        "        standing.pop(report.exec_ref_id, None)\n",
        "",
        "an execution that was taken back is missing for ever",
    ),
    Mutant(
        "correction_busted_before_heard",
        f"{TRADING}/orders.py",
        "        return False  # what it put in place",
        "        return True  # what it put in place",
        "a correction that was busted before it was heard leaves what it replaced",
        tests=(
            "tests/execution_daemon/core/test_reports.py::test_a_correction_that_was_busted_before_it_was_heard_still_takes_back_what_it_replaced",
        ),
    ),
    Mutant(
        "filled_and_taken_back_works_on",
        f"{CORE}/reports.py",
        "    return state.status is BrokerStatus.FILLED and state.cum_qty < state.qty\n",
        "    return False\n",
        "an order whose executions were busted before they were heard never ends",
        tests=("tests/execution_daemon/core/test_reports.py::test_an_order_whose_fills_were_taken_back_has_ended",),
    ),
    Mutant(
        "absence_on_an_old_clock",
        f"{SHELL}/sender.py",
        "            await self.keeper.clock.read()  # what is decided on an absence depends on the time\n",
        "",
        "an order is sent again after its target's end, on a time that is seconds old",
        tests=("tests/execution_daemon/shell/test_faults.py::test_an_absence_is_judged_by_the_time_it_is_then",),
    ),
    Mutant(
        "balance_of_a_moving_ledger",
        f"{SHELL}/daemon.py",
        "        if await self.broker.adjustments(at):\n",
        "        if False:\n",
        "what is booked while the account is opened counts twice, or never",
        tests=("tests/execution_daemon/shell/test_faults.py::test_an_account_is_taken_over_from_a_ledger_at_rest",),
    ),
    Mutant(
        "entry_of_the_opening_moment_lost",
        f"{SHELL}/reconciler.py",
        "            if entry.at >= opened_at and",
        "            if entry.at > opened_at and",
        "what the broker books in the instant in which the account was opened is missing for ever",
        tests=("tests/execution_daemon/shell/test_faults.py::test_what_is_booked_in_the_moment_of_the_opening_counts",),
    ),
    Mutant(
        "every_reconnect_has_a_look",
        f"{SHELL}/daemon.py",
        "                self._to_compare.set()\n            else:\n",
        "                await self._reconcile(is_routine=True)\n            else:\n",
        "the ledger is read as often as the stream was lost, and nothing is heard meanwhile",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_a_stream_that_comes_and_goes_does_not_hold_up_the_answers",
        ),
    ),
    Mutant(
        "an_unknown_order_hides_the_account",
        f"{SHELL}/sender.py",
        "for symbol in (order.ticket.symbol, ACCOUNT) if symbol in blocked]",
        "for symbol in (order.ticket.symbol, ACCOUNT) if symbol in blocked][:1]",
        "an order goes into an account that differs, because its symbol is blocked for a lesser reason",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_an_unknown_order_does_not_hide_that_the_account_differs",
        ),
    ),
    Mutant(
        "looks_at_the_ledger_in_the_inbox",
        f"{SHELL}/reconciler.py",
        "        reading = await self._read()\n",
        "        reading = await self.inbox.ask(self._read)\n",
        "everything waits for as long as the broker takes to list what it has",
        tests=("tests/execution_daemon/shell/test_faults.py::test_nothing_waits_behind_a_look_at_the_ledger",),
    ),
    Mutant(
        "an_overtaken_look_is_believed",
        f"{SHELL}/reconciler.py",
        "        overtaken = self._touched_since(reading.began)\n",
        "        overtaken: set[str] = set()\n",
        "a symbol is halted because of what happened while the ledger was read",
        tests=("tests/execution_daemon/shell/test_faults.py::test_what_was_heard_during_a_look_is_not_a_break",),
    ),
    Mutant(
        "takes_before_the_close_is_reconciled",
        f"{SHELL}/intake.py",
        "        if self.is_open and not self.has_closed:\n",
        "        if self.is_open:\n",
        "orders are sized by holdings in which the close is missing",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_a_close_is_reconciled_before_the_next_batch_is_taken",
        ),
    ),
    Mutant(
        "a_lost_order_stops_reconciliation",
        f"{SHELL}/reconciler.py",
        "            with contextlib.suppress(NotListed):",
        "            with contextlib.suppress():",
        "one order that the broker cannot judge keeps every other from being compared",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_an_order_that_the_broker_lost_halts_its_symbol_only",
        ),
    ),
    Mutant(
        "what_is_listed_no_more_is_a_break",
        f"{SHELL}/reconciler.py",
        "await self.broker.lists_from())",
        "None)",
        "the fills of yesterday halt everything at a broker that lists one day",
        tests=("tests/execution_daemon/shell/test_faults.py::test_what_the_broker_lists_no_more_is_not_compared",),
    ),
    Mutant(
        "stopped_after_the_last_look",
        f"{SHELL}/sender.py",
        "            if objection or loop.time() - asked < FRESH_SECONDS:\n",
        "            if True:\n",
        "a process that was stopped before it heard the answer acts on one of long ago",
        tests=(
            "tests/execution_daemon/simulation/test_last_look.py::test_what_is_pressed_as_an_order_leaves_stops_it",
        ),
        invariants=("no new send after a kill commit",),
    ),
    Mutant(
        "replaced_leg_works_on",
        f"{CORE}/step.py",
        "if not (isinstance(d, Amend) and d.client_order_id in amended))\n",
        "if d.client_order_id not in amended)\n",
        "a leg of which the replacement is committed works on for all it was for",
        tests=(
            "tests/execution_daemon/core/test_contingencies.py::test_a_leg_whose_replacement_is_committed_is_canceled",
        ),
    ),
    Mutant(
        "unblock_forgets_parents",
        f"{SHELL}/daemon.py",
        "            keeper.book = replace(keeper.book, blocked=rest)\n",
        "            keeper.book = replace(keeper.book, blocked=rest, parents={})\n",
        "freeing a symbol ends what is worked in slices, in memory only",
        tests=("tests/execution_daemon/shell/test_faults.py::test_freeing_a_symbol_leaves_what_is_worked_in_slices",),
    ),
    Mutant(
        "opened_on_the_machines_clock",
        f"{SHELL}/daemon.py",
        "        at = await self.broker.market_time()\n",
        "        at = await self.clock.read()\n",
        "what the broker books in the first hour is left out, where the machine's clock is ahead",
        tests=("tests/execution_daemon/shell/test_faults.py::test_an_account_is_taken_over_on_the_brokers_clock",),
    ),
    Mutant(
        "held_after_nothing",
        f"{CORE}/contingencies.py",
        "        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))\n        return\n",
        "        return\n",
        "an order whose first was denied is held for ever",
        tests=(
            "tests/execution_daemon/core/test_contingencies.py::test_an_order_that_waits_for_one_that_was_denied_ends",
        ),
    ),
    Mutant(
        "overtaken_time_believed",
        f"{SHELL}/clock.py",
        "            self._last = max(told, self._last or told)\n",
        "            self._last = told\n",
        "an answer about the time that came late takes the time back, and an order leaves after its target's end",
        tests=(
            "tests/execution_daemon/shell/test_clock.py::test_an_answer_that_was_overtaken_does_not_take_the_time_back",
        ),
    ),
    Mutant(
        "slice_amended",
        f"{SHELL}/commands.py",
        "        if parent := order.ticket.parent_id:\n",
        "        if parent := '':\n",
        "the replacement of a slice is asked for beside it, more than its parent has room for",
        tests=("tests/execution_daemon/shell/test_faults.py::test_a_slice_is_not_amended",),
    ),
    Mutant(
        "told_otherwise_after_a_restart",
        f"{SHELL}/daemon.py",
        "            self.broker.recall({exec_id: fill.commission for exec_id, fill in told.items()})\n",
        "            self.broker.recall({})\n",
        "a commission that came late at Interactive Brokers is a break once the daemon was started again",
        tests=("tests/execution_daemon/shell/test_faults.py::test_the_broker_is_told_what_stands_in_the_book",),
    ),
)
