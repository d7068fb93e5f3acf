"""What the app says of a daemon that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamlit_app import daemon
from streamlit_app.daemon import DaemonError
from tests.lossy_daemon import DROP, SILENCE, lossy_daemon


def test_what_was_never_sent_was_not_done(tmp_path: Path) -> None:
    """Who reads that it may be set would not look for another way to stop."""
    with lossy_daemon(tmp_path) as (_, settings), pytest.raises(DaemonError, match="the switch was not set"):
        daemon.halt(settings, "global", "*", "drill")


@pytest.mark.parametrize("way", [DROP, SILENCE])
def test_what_was_sent_may_have_been_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    """A switch that is set would be said not to be: a person would go on to stop what is stopped."""
    monkeypatch.setattr(daemon, "COMMAND_SECONDS", 0.5)
    with lossy_daemon(tmp_path, way) as (_, settings), pytest.raises(DaemonError) as raised:
        daemon.halt(settings, "global", "*", "drill")
    assert "was sent" in raised.value.problem and "may have been done" in raised.value.problem
    assert "not set" not in str(raised.value)


def test_where_nobody_listens_there_is_no_daemon(tmp_path: Path) -> None:
    """The dashboard would call it a fault that nothing was started."""
    with lossy_daemon(tmp_path) as (_, settings):
        assert daemon.state(settings) is None


@pytest.mark.parametrize("way", [DROP, SILENCE])
def test_a_daemon_that_is_silent_is_not_called_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """Who reads that nothing is traded, while it is, would look away."""
    monkeypatch.setattr(daemon, "TIMEOUT_SECONDS", 0.5)
    with lossy_daemon(tmp_path, way) as (_, settings), pytest.raises(DaemonError, match="did not say how it is"):
        daemon.state(settings)


def test_a_command_has_longer_than_a_read() -> None:
    """A switch that takes three seconds, on a bad day, would be reported as one that may not be set."""
    assert daemon.COMMAND_SECONDS == 10 > daemon.TIMEOUT_SECONDS
