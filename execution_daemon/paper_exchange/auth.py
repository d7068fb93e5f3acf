"""Who may ask: the account's key and secret for trading, a bearer token for moving the clock."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from fastapi import Request

from bifrost_core.secrets import Secrets
from execution_daemon.paper_exchange import refusals


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets that callers must show."""

    key: str
    secret: str
    admin_token: str

    @classmethod
    def of(cls, secrets: Secrets) -> Credentials:
        """This installation's credentials."""
        return cls(secrets.broker_key, secrets.broker_secret, secrets.exchange_admin_token)

    def is_trader(self, key: str, secret: str) -> bool:
        """Whether key and secret are the account's."""
        return _same(key, self.key) & _same(secret, self.secret)

    async def require_trader(self, request: Request) -> None:
        """Refuse a request without the account's key and secret."""
        headers = request.headers
        if not self.is_trader(headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")):
            raise refusals.unauthorized()

    async def require_admin(self, request: Request) -> None:
        """Refuse a request without the admin token."""
        if not _same(request.headers.get("Authorization", ""), f"Bearer {self.admin_token}"):
            raise refusals.unauthorized()


def _same(given: str, expected: str) -> bool:
    return compare_digest(given.encode(), expected.encode())
