"""Stopping and resuming trading from the Operations page, through a running daemon and its paper exchange."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from psycopg import Connection
from streamlit.testing.v1 import AppTest

from bifrost_cli.children import bifrost_part, wait_until
from bifrost_core.environment import part_environment
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse.connect import Role, connect
from streamlit_app import daemon
from tests.ports import free_port
from tests.streamlit_app.conftest import fresh_database
from tests.streamlit_app.test_pages import draw, words


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, verify=False).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture
def running(server: Settings, _maintenance: Connection, tmp_path: Path) -> Iterator[Settings]:
    """An empty shop whose daemon runs, with ledger and logs of its own."""
    settings = fresh_database(server, _maintenance, "ui_daemon", tmp_path, paper_exchange_port=free_port())
    environment = {**os.environ, **part_environment(settings)}
    with ExitStack() as stack:
        parts = [
            stack.enter_context(bifrost_part(name, settings.artifacts, environment))
            for name in ("paper-exchange", "daemon")
        ]
        wait_until(lambda: _answers(f"{settings.daemon_url}/health"), "the daemon to answer", parts)
        yield settings


def _switches(settings: Settings) -> list[tuple[object, ...]]:
    with connect(settings, Role.READER) as connection:
        return connection.execute("select scope, key, engaged, reason, actor from trading.kill_switches").fetchall()


def _press(page: AppTest, label: str, reason: str) -> AppTest:
    """Fill the form whose button is `label`, and press it."""
    name = label.lower()
    page.text_input(key=f"{name}_reason").set_value(reason)
    page.checkbox(key=f"{name}_confirmed").check()
    return next(button for button in page.button if button.label == label).click().run()


@pytest.mark.usefixtures("_the_apps_settings")
def test_trading_is_stopped_and_released_from_the_page(monkeypatch: pytest.MonkeyPatch, running: Settings) -> None:
    """One click stops the shop on a bad day; one click must not start it again."""
    page = draw(monkeypatch, running, "operations")
    assert "No daemon answers" not in words(page)
    _press(page, "Engage", "drill")
    assert _switches(running) == [("global", "*", True, "drill", "local")]
    assert any("1 engaged: no new order in global" in str(box.value) for box in page.error)
    _press(page, "Release", "drill over")
    assert _switches(running) == [("global", "*", True, "drill", "local")]
    _apply(page)
    assert any("its cool-off ends at" in str(box.value) for box in page.error)
    _end_cool_off(running)
    _apply(page)
    assert _switches(running) == [("global", "*", False, "drill over", "local")]
    assert not page.error
    with connect(running, Role.READER) as connection:
        chained = connection.execute("select count(*) from audit.chain where kind = 'kill_switch'").fetchone()
    assert chained == (2,)


@pytest.mark.usefixtures("_the_apps_settings")
def test_a_key_that_stands_for_nothing_is_doubted(monkeypatch: pytest.MonkeyPatch, running: Settings) -> None:
    """Who mistypes a name would believe that it is stopped while it trades on."""
    page = draw(monkeypatch, running, "operations")
    page.selectbox[0].set_value("symbol")
    page.text_input[0].set_value("aapll")
    _press(page, "Engage", "drill")
    assert _switches(running) == [("symbol", "AAPLL", True, "drill", "local")]
    doubt = "Engaged, but nothing is known by the name AAPLL: check the spelling."
    assert [box.value for box in page.warning if "AAPLL" in str(box.value)] == [doubt]


def _apply(page: AppTest) -> None:
    next(button for button in page.button if button.label == "Apply").click().run()


def _end_cool_off(settings: Settings) -> None:
    """As if the minute had passed."""
    earlier = "set proposed_at = proposed_at - interval '1 hour', cool_off_until = cool_off_until - interval '1 hour'"
    with connect(settings, Role.OWNER) as connection:
        connection.execute(f"update trading.change_proposals {earlier}")


@pytest.mark.usefixtures("_the_apps_settings")
def test_nothing_happens_without_reason_and_confirmation(monkeypatch: pytest.MonkeyPatch, running: Settings) -> None:
    """A slip of the mouse must not stop the shop."""
    page = draw(monkeypatch, running, "operations")
    next(button for button in page.button if button.label == "Engage").click().run()
    assert "Not done: a reason is missing." in words(page)
    page.text_input(key="engage_reason").set_value("because")
    next(button for button in page.button if button.label == "Engage").click().run()
    assert "Not done: the confirmation is missing." in words(page)
    assert _switches(running) == []


@pytest.mark.usefixtures("_the_apps_settings")
def test_a_wrong_token_is_named(running: Settings, tmp_path: Path) -> None:
    """Two installations on one machine: the app must say so, not that the daemon is down."""
    stranger = load_settings(home=tmp_path / "other", daemon_port=running.daemon_port)
    with pytest.raises(daemon.DaemonError, match="refuses our token"):
        daemon.state(stranger)
