"""Why the daemon stops, or cannot do it yet: each names what happened and what to do."""

from __future__ import annotations

from bifrost_core.errors import BifrostError
from execution_daemon.brokers.port import BrokerUnclear


class LeaseLost(BifrostError):
    """Another daemon leads the account: this one may write nothing more."""


class StoreFailed(BifrostError):
    """The warehouse refused a write, or cannot be reached: without it nothing is durable, so nothing is sent."""


class NotReady(BrokerUnclear):
    """The daemon starts, or its book was not found to agree with the broker's ledger yet: it may be asked again."""


class BookDrifted(BifrostError):
    """What the daemon holds in memory is not what is stored: a defect, never traded over."""


class PortTaken(BifrostError):
    """Something else listens on the daemon's port."""


def ensure(condition: bool, what: str) -> None:
    """Raise BookDrifted unless `condition` holds; unlike `assert`, also under -O."""
    if not condition:
        raise BookDrifted(what, "Stop the daemon and report this with trading.order_events; nothing was sent since")
