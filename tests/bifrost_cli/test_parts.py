from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bifrost_cli import parts
from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def test_taken_port_names_part_port_and_setting(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Eight parts each with a port: `address already in use` alone helps nobody."""
    port = free_port()
    part = parts.dashboard(load_settings(home=tmp_path, streamlit_port=port))
    parts.ensure_port_free(part)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(BifrostError, match=rf"port {port} of dashboard .*BIFROST_STREAMLIT_PORT"):
            parts.ensure_port_free(part)
        assert parts.answers(port)
    assert not parts.answers(port)


def test_every_part_listens_on_loopback_by_a_setting(settings: Settings) -> None:
    """A part on 0.0.0.0 shows the book to the network; one without a setting cannot be moved."""
    for part in parts.all_parts(settings):
        assert "0.0.0.0" not in part.command
        if part.port is not None:
            assert part.setting is not None
            assert getattr(settings, part.setting) == part.port


def test_no_secret_in_a_command(settings: Settings) -> None:
    """Command lines are readable by every user of the machine."""
    from dataclasses import astuple

    words = " ".join(word for part in parts.all_parts(settings) for word in part.command)
    assert not [secret for secret in astuple(settings.secrets) if secret in words]


def test_ports_of_parts_differ(settings: Settings) -> None:
    """Two defaults that collide make `bifrost up` fail on every machine."""
    ports = [part.port for part in parts.all_parts(settings) if part.port is not None]
    assert len(set(ports)) == len(ports)
