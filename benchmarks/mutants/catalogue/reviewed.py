"""Defects that readers of the code have found, planted again."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, SHELL, SQL, Mutant

MUTANTS = (
    Mutant(
        "amended_while_held_is_sent",
        f"{CORE}/manual.py",
        "        contingency=old if is_held else _after_the_end_of(order),\n",
        "        contingency=_after_the_end_of(order),\n",
        "a held order that is amended no longer waits for what it waited for",
        tests=("tests/execution_daemon/core/test_manual.py::test_an_amended_order_that_is_held_waits_for_the_same",),
    ),
    Mutant(
        "replacement_outlives_a_refused_cancel",
        f"{CORE}/step.py",
        "    if isinstance(given, Reported) and given.event.kind is ExecType.CANCEL_REJECTED:\n",
        "    if False:\n",
        "what was to replace an order is sent whenever that ends",
        tests=(
            "tests/execution_daemon/core/test_contingencies.py::test_a_cancel_that_the_broker_refuses_ends_the_replacement",
        ),
    ),
    Mutant(
        "exits_outlive_a_busted_entry",
        f"{CORE}/contingencies.py",
        "        most = min(most, entry.cum_qty)\n",
        "        pass\n",
        "exits work on although the entry's executions were taken back",
        tests=(
            "tests/execution_daemon/core/test_contingencies.py::test_exits_of_an_entry_that_was_busted_are_canceled",
        ),
    ),
    Mutant(
        "routine_pass_heals_what_it_left_out",
        f"{SHELL}/reconciler.py",
        "        if breaks and not settled:\n",
        "        if False:\n",
        "a pass that left a break out is recorded as clean",
        tests=("tests/execution_daemon/shell/test_faults.py::test_a_break_is_not_healed_by_a_pass_that_leaves_it_out",),
    ),
    Mutant(
        "healed_break_frees_the_unknown",
        f"{CORE}/book.py",
        "        if u.symbol in unknown\n",
        "        if False\n",
        "a healed break frees a symbol with an unknown order",
        tests=("tests/execution_daemon/core/test_contingencies.py::test_a_healed_break_does_not_free_what_is_unknown",),
    ),
    Mutant(
        "flatten_beside_its_exits",
        f"{CORE}/manual.py",
        "        for order in _closing_already(book, symbol, side, desk.command_id):\n",
        "        for order in ():\n",
        "a position is closed while a stop may still close it too",
        tests=("tests/execution_daemon/core/test_manual.py::test_flatten_waits_for_the_exits_that_are_being_canceled",),
    ),
    Mutant(
        "cancel_overtaken_by_the_send",
        f"{SHELL}/sender.py",
        "        if order is None or order.is_cancel_wanted:\n",
        "        if order is None:\n",
        "an order leaves although its cancel was asked while it waited",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_a_cancel_that_is_asked_while_an_order_waits_to_leave_stops_it",
        ),
    ),
    Mutant(
        "dead_man_fires_once_an_epoch",
        "execution_daemon/deadman.py",
        "            self._seen, self._unchanged, self._fired_for = lease, 0.0, None\n",
        "            self._seen, self._unchanged = lease, 0.0\n",
        "the second silence of the same leader is not acted on",
        tests=("tests/execution_daemon/test_deadman.py::test_a_second_silence_of_the_same_leader_is_missed_too",),
    ),
    Mutant(
        "sql_release_of_a_newer_kill",
        f"{SQL}/0015_kill_release.sql",
        "    perform from trading.kill_switches for share;\n",
        "    null;\n",
        "releasing a kill wipes out one that was engaged meanwhile",
        tests=("tests/bifrost_core/warehouse/test_governance.py",),
    ),
)
