"""Defects of leading."""

from __future__ import annotations

from benchmarks.mutants.mutant import AGREEMENT, MEMORY, SHELL, Mutant

MUTANTS = (
    Mutant(
        "lease_not_renewed",
        f"{SHELL}/daemon.py",
        "            await store.renew_lease(self.settings.lease_seconds)\n",
        "",
        "the lease of a leader that lives runs out",
    ),
    Mutant(
        "lost_lease_ignored",
        f"{SHELL}/store.py",
        '        if not await self._value("renew_lease", seconds=seconds):\n',
        '        if not await self._value("renew_lease", seconds=seconds) and False:\n',
        "a deposed leader does not notice until it writes",
        tests=("tests/execution_daemon/shell/test_faults.py::test_a_lost_lease_stops_the_daemon",),
    ),
    Mutant(
        "stale_leader_may_send",
        f"{MEMORY}/leases.py",
        "    killed = not leads(tx, given) or is_killed(",
        "    killed = is_killed(",
        "a deposed leader sends what it had committed",
        tests=AGREEMENT,
    ),
    Mutant(
        "stale_leader_may_write",
        f"{MEMORY}/leases.py",
        "    if not leads(tx, given):\n        what",
        "    if False:\n        what",
        "two daemons write one account's book",
    ),
    Mutant(
        "epoch_not_raised",
        f"{MEMORY}/leases.py",
        '    epoch: int = lease["epoch"] + 1\n',
        '    epoch: int = max(lease["epoch"], 1)\n',
        "a leader that was deposed and came back cannot be told from the one before",
    ),
)
