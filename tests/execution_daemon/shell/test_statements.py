"""The daemon's SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import execution_daemon.shell
from execution_daemon.shell.statements import SQL, load

FOLDER = Path(execution_daemon.shell.__path__[0])
SOURCES = [p.read_text() for p in (*FOLDER.glob("*.py"), FOLDER.parent / "deadman.py")]


def test_every_statement_is_used_and_every_use_exists():
    """A misspelt name fails at the worst moment; a dead statement is read by everyone for nothing."""
    used = {name for text in SOURCES for name in re.findall(r'(?:rows|_value|together)\(\s*\(?"(\w+)"', text)}
    assert used == set(SQL)


def test_a_name_given_twice_is_refused(tmp_path):
    """The second would silently replace the first."""
    (tmp_path / "a.sql").write_text("-- name: one\nselect 1\n")
    (tmp_path / "b.sql").write_text("-- name: one\nselect 2\n")
    with pytest.raises(ValueError, match="exists already"):
        load(tmp_path)


def test_no_sql_in_python():
    """Statements live where they can be read and reviewed as SQL."""
    for text in SOURCES:
        assert not re.search(r'"(select|insert|update|delete) ', text)
