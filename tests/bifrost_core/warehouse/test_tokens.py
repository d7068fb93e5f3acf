"""Tokens of the API: kept as hashes, with an end, and made by nobody but the owner."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from bifrost_core.errors import WarehouseError
from bifrost_core.warehouse import tokens
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.tokens import Scope


def uses(settings, token):
    """Name and scopes, as the API's role is told."""
    with connect(settings, Role.API) as connection:
        return connection.execute("select * from trading.use_token_v1(%s)", (tokens.digest(token),)).fetchall()


def test_a_token_is_kept_as_its_hash_alone(settings):
    """A backup of the warehouse would hold keys to the shop."""
    token = tokens.create(settings, "desk.anna", (Scope.READ, Scope.TRADE), 30, "root")
    assert uses(settings, token) == [("desk.anna", ["read", "trade"])]
    with connect(settings, Role.OWNER) as connection:
        assert token not in str(connection.execute("select t::text from trading.api_tokens t").fetchall())
    [kept] = [one for one in tokens.listed(settings) if one.name == "desk.anna"]
    assert (kept.created_by, kept.standing(datetime.now(UTC))) == ("root", "in force")
    assert kept.last_used_on is not None


def test_expired_and_revoked_tokens_stand_for_nobody(settings):
    """Who has left the firm could still trade."""
    old = tokens.create(settings, "old", (Scope.READ,), -1, "root")
    gone = tokens.create(settings, "gone", (Scope.READ,), 1, "root")
    tokens.revoke(settings, "gone", "root")
    assert uses(settings, old) == uses(settings, gone) == uses(settings, "guess") == []
    standing = {one.name: one.standing(datetime.now(UTC)) for one in tokens.listed(settings)}
    assert standing == {"local": "in force", "old": "expired", "gone": "revoked"}
    with connect(settings, Role.READER) as connection:
        changes = "select payload->>'change', payload->>'name' from audit.chain order by seq"
        rows = connection.execute(changes).fetchall()
    assert rows[-3:] == [("created", "old"), ("created", "gone"), ("revoked", "gone")]


def test_the_installations_token_follows_its_secrets(settings):
    """After a lost secrets file the app would be shut out, or the lost token go on working, or come back."""
    assert uses(settings, settings.secrets.daemon_token) == [("local", ["read", "trade", "risk"])]
    with connect(settings, Role.OWNER) as connection:
        connection.execute("select trading.set_local_token_v1(%s)", (tokens.digest("another"),))
    assert uses(settings, settings.secrets.daemon_token) == []
    assert uses(settings, "another") == [("local", ["read", "trade", "risk"])]
    tokens.register_local(settings)
    assert uses(settings, settings.secrets.daemon_token) == []
    assert uses(settings, "another") == [("local", ["read", "trade", "risk"])]


def test_names_that_cannot_be(settings):
    """The name is the actor in the audit chain: two people must not share one."""
    tokens.create(settings, "anna", (Scope.READ,), 1, "root")
    for name, scopes in (("anna", (Scope.READ,)), ("local", (Scope.READ,)), ("A b", (Scope.READ,)), ("bob", ())):
        with pytest.raises(WarehouseError):
            tokens.create(settings, name, scopes, 1, "root")
    with pytest.raises(WarehouseError, match="no token named bob"):
        tokens.revoke(settings, "bob", "root")


@pytest.mark.parametrize("role", [Role.API, Role.TRADER, Role.READER, Role.PIPELINE])
def test_nobody_who_runs_can_make_a_token(settings, role):
    """A part that was taken over would give itself every right."""
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select trading.create_token_v1('x', sha256('x'::bytea), array['risk'], now(), 'x')")
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("insert into trading.api_tokens (name) values ('x')")


@pytest.mark.parametrize("role", [Role.TRADER, Role.READER, Role.PIPELINE])
def test_only_the_api_sees_the_hashes(settings, role):
    """Nobody else has a use for them."""
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from trading.api_tokens")
