"""`bifrost quarantine` as a person types it, against a real warehouse."""

from __future__ import annotations

import getpass
import json
from datetime import date

import pytest
from typer.testing import CliRunner

from bifrost_cli.main import app
from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

HELD = """
    insert into quarantine.rows (source, subject, session, reason, row, row_sha256, status)
    values ('raw.daily_bars', %s, %s, 'it jumps', %s, %s, %s)
"""


@pytest.fixture
def rows(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two rows: IBM's held (1) and AAPL's flagged (2); the command line finds their warehouse."""
    with warehouse.transaction() as connection:
        for symbol, status in (("IBM", "held"), ("AAPL", "flagged")):
            values = (symbol, date(2013, 2, 14), json.dumps({"close": 1.0}), symbol, status)
            connection.execute(HELD, values)
    for name in ("home", "database"):
        monkeypatch.setenv(f"BIFROST_{name.upper()}", str(getattr(warehouse.settings, name)))
    return warehouse.settings


def bifrost(*words: str) -> str:
    done = CliRunner().invoke(app, ["quarantine", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("rows")
def test_rows_are_listed_by_status_and_symbol() -> None:
    """The row that a reason is about must be found among thousands."""
    assert [line.split()[1:4] for line in bifrost("list").splitlines()] == [
        ["flagged", "raw.daily_bars", "AAPL"],
        ["held", "raw.daily_bars", "IBM"],
    ]
    assert bifrost("list", "--symbol", "ibm").split()[0] == "1"
    assert bifrost("list", "--status", "dropped") == "nothing is dropped\n"
    with pytest.raises(BifrostError, match="there is no status 'bad'"):
        bifrost("list", "--status", "bad")


@pytest.mark.usefixtures("rows")
def test_a_row_is_dropped_with_a_reason_and_shown_with_it(warehouse: Warehouse) -> None:
    """Who, why and when, by default under the name of who is logged in."""
    assert bifrost("drop", "1", "--because", "a bad tick") == "1 dropped\n"
    assert bifrost("drop", "1", "2", "--because", "a bad tick", "--actor", "ann") == "1 dropped, 1 before\n"
    assert f"({getpass.getuser()}: a bad tick)" in bifrost("list", "--status", "dropped", "--symbol", "IBM")
    actors = warehouse.read("select actor from quarantine.decisions order by quarantine_id")["actor"].to_list()
    assert actors == [getpass.getuser(), "ann"]


@pytest.mark.usefixtures("rows")
def test_what_cannot_be_done_is_one_error_with_a_remedy() -> None:
    """An id with a typo must not end in a traceback."""
    with pytest.raises(BifrostError, match=r"quarantine has no row 77\. .bifrost quarantine list"):
        bifrost("release", "77", "--because", "right")
    with pytest.raises(BifrostError, match=r"row 1 cannot be released: .*\. Drop it"):
        bifrost("release", "1", "--because", "right")
