"""Errors that a person will read: what is wrong, with what, and what to do about it."""

from __future__ import annotations


class BifrostError(Exception):
    """A failure with a remedy.

    The command line prints `str(error)` as one line and exits with 1, so `problem` names the thing
    and `remedy` says what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy


class SettingsError(BifrostError):
    """A setting is missing, unknown or out of range."""


class WarehouseError(BifrostError):
    """PostgreSQL cannot be started, reached, or used as the role in question."""


class ProviderError(BifrostError):
    """A market data provider is down, or sent something that is not data."""


class BrokerError(BifrostError):
    """The broker or the paper exchange cannot be reached or refused the credentials."""
