"""The commands that act on the daemon: what they print, and how they fail."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bifrost_cli.main import app
from bifrost_core.errors import BifrostError
from tests.execution_daemon.conftest import calendar as calendar
from tests.execution_daemon.conftest import market as market
from tests.execution_daemon.conftest import paper_exchange as paper_exchange
from tests.execution_daemon.shell.conftest import shop as shop


@pytest.fixture
def bifrost(shop, monkeypatch):
    """Runs the command with the shop's settings."""
    for name in ("home", "database", "daemon_port"):
        monkeypatch.setenv(f"BIFROST_{name.upper()}", str(getattr(shop.settings, name)))

    def run(*words):
        result = CliRunner().invoke(app, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return run


def test_an_evening_at_the_shell(shop, bifrost):
    """The one tool that works when nothing else does."""
    shop.daemon.start()
    assert bifrost("orders") == "no order\n"
    batch = shop.write({"MSFT": "0.1"})
    shop.daemon.wait_intake(batch, "worked")
    assert "MSFT" in bifrost("orders", "--status", "new")
    assert bifrost("halt", "symbol", "aapl", "--reason", "drill") == "halted: symbol AAPL\n"
    assert "needs a cool-off" in bifrost("resume", "symbol", "aapl", "--reason", "over")
    with pytest.raises(BifrostError, match="another person approves"):
        bifrost("approve", "1")
    assert bifrost("cancel-all", "--reason", "drill") == "1 orders are being canceled\n"
    shop.daemon.wait(lambda: shop.daemon.state()["open_orders"] == 0, "the order to end")
    assert bifrost("flatten", "--reason", "drill") == "nothing is held\n"


def test_a_halt_of_nothing_is_engaged_and_doubted(shop, bifrost):
    """Who mistypes would read "halted" while the symbol trades on."""
    shop.daemon.start()
    said = bifrost("halt", "symbol", "aapll", "--reason", "drill")
    assert said.splitlines() == [
        "halted: symbol AAPLL",
        "WARNING: engaged, but nothing is known by the name AAPLL: check the spelling",
    ]


def test_without_a_daemon_it_says_so(bifrost):
    """A halt that did not happen must not look as if it did."""
    with pytest.raises(BifrostError, match=r"no daemon answers at .*, and nothing was done"):
        bifrost("halt", "--reason", "drill")


def test_tokens_from_the_shell(bifrost):
    """A token that is printed twice is one too many."""
    token = bifrost("token", "create", "anna", "--scope", "read", "--days", "5").strip()
    assert token.startswith("bft_")
    listed = bifrost("token", "list")
    assert "anna" in listed
    assert token not in listed
    assert bifrost("token", "revoke", "anna") == "anna is revoked\n"
    with pytest.raises(BifrostError, match="no scope 'all'"):
        bifrost("token", "create", "bob", "--scope", "all")
