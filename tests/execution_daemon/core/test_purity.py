"""The core and the trading rules may not look at a clock, roll dice or wait."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bifrost_core.trading
import execution_daemon.core

FOLDERS = [Path(module.__path__[0]) for module in (bifrost_core.trading, execution_daemon.core)]
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))
BANNED_MODULES = {"time", "random", "secrets", "asyncio", "psycopg", "httpx", "threading", "socket", "os", "logging"}
BANNED_NAMES = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom", "SystemClock", "open", "print", "getenv"}
INSTEAD = "take the time as an argument, make ids by content_hash, and leave I/O to execution_daemon/shell"


def offences(source: str) -> list[str]:
    """What of `source` is not deterministic, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            found += [f"line {node.lineno}: {a.name}" for a in node.names if a.name in BANNED_NAMES]
        found += [f"line {node.lineno}: import {m}" for m in modules if m.split(".")[0] in BANNED_MODULES]
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found += [f"line {node.lineno}: {name}()"] if name in BANNED_NAMES else []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_clock_no_dice_no_waiting(path):
    """A replay would not give what happened, and a backtest not what the daemon does."""
    assert offences(path.read_text()) == [], INSTEAD


@pytest.mark.parametrize(
    "source",
    ["import random", "from time import time", "uuid.uuid4()", "datetime.now()",
     "import asyncio", "open('x')", "from bifrost_core.clock import SystemClock"],
)  # fmt: skip
def test_the_ban_bites(source):
    """A checker that finds nothing passes for ever."""
    assert offences(source)
