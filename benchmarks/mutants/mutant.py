"""A planted defect, as data, and where the things are that defects are planted in."""

from __future__ import annotations

from dataclasses import dataclass

CORE, SHELL, TRADING = "execution_daemon/core", "execution_daemon/shell", "bifrost_core/trading"
MEMORY = "execution_daemon/simulation/warehouse"
SQL = "bifrost_core/warehouse/migrations/sql"
FUNCTIONS = ("tests/execution_daemon/shell/test_trading_functions.py",)
GOVERNANCE = ("tests/bifrost_core/warehouse/test_governance.py",)
AGREEMENT = ("tests/execution_daemon/simulation/test_agreement.py",)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text of a file that occurs exactly once, what stands there instead, and what that breaks.

    `invariants` are those of the simulation that the defect must break: what else a seed complains of, because the
    defect changes when things happen, does not count. `tests` names what catches the defect where the simulation
    cannot: the warehouse in memory has the semantics of the SQL, not its text, so the SQL's defects are for tests with
    PostgreSQL.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...] = ()
    invariants: tuple[str, ...] = ()
