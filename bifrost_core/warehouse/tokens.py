"""Tokens of the daemon's API: made, listed and revoked by whoever holds the owner's connection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import psycopg
from psycopg.rows import class_row

from bifrost_core.errors import WarehouseError
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect

PREFIX = "bft_"
LOCAL = "local"
"""The name of the token in this installation's own secrets."""


class Scope(StrEnum):
    """What a token may do. None includes another."""

    READ = "read"  # see orders, fills, positions, limits, decisions, events and metrics
    TRADE = "trade"  # send, change and cancel orders, flatten, halt
    RISK = "risk"  # loosen: resume, approve and apply changes, unblock, release batches
    ADMIN = "admin"  # list and revoke tokens


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept: never its text."""

    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: date | None

    def standing(self, now: datetime) -> str:
        """in force, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "in force"


def digest(token: str) -> bytes:
    """What is stored of a token. Its 32 random bytes need no salt and no slow hash."""
    return sha256(token.encode()).digest()


def create(settings: Settings, name: str, scopes: tuple[Scope, ...], days: int, actor: str) -> str:
    """A new token, in the clear for the only time. Raises WarehouseError where the name is taken or unusable."""
    token = PREFIX + secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + timedelta(days=days)
    if name == LOCAL:
        raise WarehouseError(f"the name {LOCAL!r} is the installation's own", "Choose the name of a person or a part")
    try:
        with connect(settings, Role.OWNER) as connection:
            row = connection.execute(
                "select trading.create_token_v1(%s, %s, %s, %s, %s)",
                (name, digest(token), [scope.value for scope in scopes], expires_at, actor),
            ).fetchone()
    except psycopg.errors.CheckViolation as error:
        raise WarehouseError(
            f"{name!r} cannot be a token's name, or it has no scope",
            "Use lower-case letters, digits, dot, dash and underscore, and at least one scope",
        ) from error
    if row is None or row[0] is None:
        raise WarehouseError(f"a token named {name} is in force", f"Revoke it first: `bifrost token revoke {name}`")
    return token


def revoke(settings: Settings, name: str, actor: str) -> None:
    """End a token now. Raises WarehouseError where none of that name is in force."""
    with connect(settings, Role.OWNER) as connection:
        row = connection.execute("select trading.revoke_token_v1(%s, %s)", (name, actor)).fetchone()
    if row is None or not row[0]:
        raise WarehouseError(f"no token named {name} is in force", "`bifrost token list` shows them all")


def listed(settings: Settings) -> list[Token]:
    """Every token ever made, the newest first."""
    with connect(settings, Role.OWNER) as connection, connection.cursor(row_factory=class_row(Token)) as cursor:
        cursor.execute(
            "select name, scopes, created_by, created_at, expires_at, revoked_at, last_used_on"
            " from trading.api_tokens order by created_at desc"
        )
        return cursor.fetchall()


def register_local(settings: Settings) -> None:
    """Let the token in this installation's secrets in, and no older one. A revoked one stays out: take it out of
    secrets.json, and a new one is made."""
    with connect(settings, Role.OWNER) as connection:
        connection.execute("select trading.set_local_token_v1(%s)", (digest(settings.secrets.daemon_token),))
