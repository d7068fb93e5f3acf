"""`bifrost doctor`: checks in order of what depends on what, each with its remedy."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from bifrost_cli.doctor import data, installation, running, server
from bifrost_cli.doctor.finding import Check, Finding, findings_of
from bifrost_core.settings import Settings

GATES = (server.postgresql, server.migrations)  # what is bad here makes the rest of the warehouse pointless to look at
WAREHOUSE = (server.roles, *data.CHECKS)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as it is made."""
    yield from _all(installation.CHECKS, settings)
    if (yield from _gates(settings)):
        yield from _all(WAREHOUSE, settings)
    yield from _all(running.CHECKS, settings)


def _all(checks: Iterable[Check], settings: Settings) -> Iterator[Finding]:
    for check in checks:
        yield from findings_of(check, settings)


def _gates(settings: Settings) -> Generator[Finding, None, bool]:
    for check in GATES:
        for finding in findings_of(check, settings):
            yield finding
            if not finding.ok:
                return False
    return True
