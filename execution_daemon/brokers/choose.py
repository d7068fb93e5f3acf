"""The broker of the settings. Only the chosen adapter is imported, and with it its libraries."""

from __future__ import annotations

from bifrost_core.settings import Settings
from execution_daemon.brokers.port import Broker


def broker_of(settings: Settings, is_overseer: bool = False) -> Broker:
    """The adapter that `broker` names. Call it on the event loop that uses the broker.

    An overseer shares the account with the daemon, and can cancel what that sent.
    """
    if settings.broker == "interactive_brokers":
        from execution_daemon.brokers.interactive_brokers import InteractiveBrokersBroker

        return InteractiveBrokersBroker.of(settings, is_overseer)
    from execution_daemon.brokers.alpaca import AlpacaBroker

    return AlpacaBroker.of(settings)
