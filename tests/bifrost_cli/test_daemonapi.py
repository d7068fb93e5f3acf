"""What the command line says of a daemon that does not answer."""

from __future__ import annotations

import pytest

from bifrost_cli import daemonapi
from bifrost_cli.daemonapi import DaemonError, command, get
from tests.lossy_daemon import DROP, SILENCE, lossy_daemon

DONE = (200, {"engaged": True})
RUNNING = (409, {"title": "The command with this key is being carried out", "detail": "Ask again in a moment."})


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(daemonapi, "TIMEOUT_SECONDS", 0.5)


def test_what_was_never_sent_was_not_done(tmp_path):
    """Who reads "it may have been done" would look for a switch that nobody was asked to set."""
    with lossy_daemon(tmp_path) as (_, settings), pytest.raises(DaemonError, match="nothing was done"):
        command(settings, "/halt", {"reason": "drill"})


@pytest.mark.parametrize("way", [DROP, SILENCE])
def test_a_lost_answer_is_asked_for_again_under_the_same_key(tmp_path, way):
    """Shares would be bought twice, or a command reported as failed that was carried out."""
    with lossy_daemon(tmp_path, way, DONE) as (daemon, settings):
        assert command(settings, "/orders", {"symbol": "AAPL"}) == {"engaged": True}
    assert daemon.keys[0] == daemon.keys[1] != ""


@pytest.mark.parametrize("ways", [(DROP,), (SILENCE,), (DROP, SILENCE), (SILENCE, SILENCE)])
def test_what_was_sent_may_have_been_done(tmp_path, ways):
    """Who reads "nothing was done" sends the order again, under another key, and has bought twice."""
    with lossy_daemon(tmp_path, *ways) as (daemon, settings), pytest.raises(DaemonError) as raised:
        command(settings, "/orders", {"symbol": "AAPL"})
    assert "was sent" in raised.value.problem and "may have been done" in raised.value.problem
    assert "nothing was done" not in str(raised.value)
    assert "`bifrost orders`" in raised.value.remedy
    assert len(set(daemon.keys)) == 1


def test_a_command_that_is_still_carried_out_is_reported_as_that(tmp_path):
    """Who is told that it failed asks for it again."""
    with (
        lossy_daemon(tmp_path, SILENCE, RUNNING) as (_, settings),
        pytest.raises(DaemonError, match="being carried out"),
    ):
        command(settings, "/flatten", {"reason": "drill"})


def test_a_read_that_gets_no_answer_says_so(tmp_path):
    """A daemon that is slow would be started a second time."""
    with lossy_daemon(tmp_path, SILENCE) as (_, settings), pytest.raises(DaemonError, match="did not answer"):
        get(settings, "/orders", {})
    with lossy_daemon(tmp_path) as (_, settings), pytest.raises(DaemonError, match="no daemon answers"):
        get(settings, "/orders", {})
