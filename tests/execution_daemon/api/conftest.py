"""The control plane of a daemon in this process, and tokens of every scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from itertools import count

import httpx
import pytest

from bifrost_core.settings import Settings
from bifrost_core.warehouse import tokens
from bifrost_core.warehouse.tokens import Scope
from execution_daemon.api.app import create_app
from execution_daemon.brokers.simulated import SimulatedBroker
from execution_daemon.shell.daemon import Daemon

PROBLEM = "application/problem+json"
_keys = count()


def key() -> dict[str, str]:
    """The header of a new command."""
    return {"Idempotency-Key": f"key-{next(_keys)}"}


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[object]:
    """The API of a daemon that is not started."""
    one = create_app(Daemon(settings, SimulatedBroker({}, Decimal(1000))), settings)
    yield one
    await one.state.context.warehouse.close()


@pytest.fixture
async def client(app: object, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """With the installation's own token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {settings.secrets.daemon_token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://daemon", headers=headers) as one:
        yield one


@pytest.fixture
def token(settings: Settings) -> Callable[..., dict[str, str]]:
    """Makes the header of a new token of that name and those scopes."""

    def make(name: str, *scopes: Scope) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.create(settings, name, scopes, 1, 'test')}"}

    return make


@pytest.fixture
def token_of_all(token: Callable[..., dict[str, str]]) -> dict[str, str]:
    """The header of a token that may do everything."""
    return token("all", *Scope)
