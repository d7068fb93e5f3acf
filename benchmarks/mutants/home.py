"""Whether a process runs the code of the copy that it was started in; also a plugin of pytest that asks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PACKAGES = frozenset({"bifrost_core", "execution_daemon", "bifrost_cli", "benchmarks", "tests"})


def strangers(home: Path) -> list[str]:
    """Modules of ours that were imported from somewhere else than `home`: a defect planted there is not in them."""
    ours = [(name, getattr(module, "__file__", None)) for name, module in sys.modules.copy().items()]
    return sorted(
        name
        for name, file in ours
        if file and name.partition(".")[0] in PACKAGES and not Path(file).resolve().is_relative_to(home.resolve())
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the session as broken, which is neither passed nor failed, where other code was tested."""
    if found := strangers(Path.cwd()):
        print(f"imported from elsewhere: {', '.join(found)}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
