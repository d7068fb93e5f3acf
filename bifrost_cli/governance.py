"""Limits, and changes to them that wait for a second person or a cool-off, as bifrost_api."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg.rows import class_row, dict_row

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings
from bifrost_core.trading.limits import Limit, LimitCode
from bifrost_core.warehouse.connect import Role, connect

IN_FORCE = """
    select distinct on (l.code) l.code, l.account, l.value, l.unit, l.version, l.actor, l.effective_at
    from trading.limits l
    where l.account in (%(account)s, '*') and l.effective_at <= now()
    order by l.code, l.account = '*', l.version desc
"""
GOVERNANCE = """
    select version, mode, cool_off_seconds, actor, effective_at from trading.governance order by version desc limit 1
"""
PROPOSALS = """
    select p.proposal_id, p.diff, p.diff_hash, p.proposed_by, p.cool_off_until, p.expires_at, g.mode
    from trading.change_proposals p cross join lateral (
        select v.mode from trading.governance v order by v.version desc limit 1) g
    where p.applied_at is null and p.expires_at > now()
    order by p.proposal_id
"""
ACCOUNTS = "select account from trading.accounts order by account"
ALL_ACCOUNTS = "*"


class ChangeRefused(BifrostError):
    """The warehouse did not take a change."""


@dataclass(frozen=True, slots=True)
class Governance:
    """What it takes to loosen: `mode` is two_person, or cool_off where the proposer may apply it after that."""

    version: int
    mode: str
    cool_off_seconds: int
    actor: str
    effective_at: datetime

    def __str__(self) -> str:
        since = f"version {self.version} by {self.actor} since {self.effective_at:%Y-%m-%d %H:%M} UTC"
        alone = f", or {self.cool_off_seconds} s of cool-off" if self.mode == "cool_off" else ""
        return f"{self.mode}: what loosens takes a second person{alone} ({since})"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that waits. `diff` is exactly what it would change, `diff_hash` the hash that an approval names."""

    proposal_id: int
    diff: Mapping[str, Any]
    diff_hash: str
    proposed_by: str
    cool_off_until: datetime
    expires_at: datetime
    mode: str

    def __str__(self) -> str:
        return f"{self.proposal_id}  {described(self.diff)}  by {self.proposed_by}; {self.waits_for()}"

    def waits_for(self) -> str:
        """What it takes to apply it."""
        second = f"`bifrost approve {self.proposal_id}` by another person"
        if self.mode == "two_person":
            return second
        if self.cool_off_until <= datetime.now(UTC):
            return f"cooled off: `bifrost apply {self.proposal_id}`"
        apply = f"`bifrost apply {self.proposal_id}` after its cool-off"
        return f"{apply} ends at {self.cool_off_until:%H:%M:%S} UTC, or {second}"


def described(diff: Mapping[str, Any]) -> str:
    """A difference in one line."""
    target, old, new = diff["target"], diff["old"] or {}, diff["new"]
    if diff["kind"] == "limit":
        return f"{target['code']} of {target['account']}: {old.get('value')} -> {new['value']}"
    if diff["kind"] == "kill_switch_release":
        return f"release the kill switch of {target['scope']} {target['key']}: {new['reason']}"
    was, will = (f"{side.get('mode')} ({side.get('cool_off_seconds')} s)" for side in (old, new))
    return f"governance: {was} -> {will}"


def told(answer: Mapping[str, Any]) -> str:
    """The warehouse's answer to a proposal, for a person."""
    what = f"{described(answer['diff'])}: {answer['outcome']}"
    if answer["outcome"] == "applied":
        return what
    number = answer["proposal_id"]
    return (
        f"{what}\nproposal {number} needs {answer['needs']}: `bifrost approve {number}` or `bifrost apply {number}`;"
        f" it expires at {answer['expires_at'][:16]}"
    )


def limits(settings: Settings, account: str) -> list[Limit]:
    """The rows in force for `account`, in the order of `LimitCode`."""
    with connect(settings, Role.API) as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(IN_FORCE, {"account": account}).fetchall()
    known = {r["code"]: Limit(LimitCode(r["code"]), r["value"], r["unit"], r["version"]) for r in rows}
    return [known[code] for code in LimitCode if code in known]


def proposals(settings: Settings) -> list[Proposal]:
    """Changes that wait and have not expired, oldest first."""
    with connect(settings, Role.API) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [Proposal(**row) for row in cursor.execute(PROPOSALS).fetchall()]


def in_force(settings: Settings) -> Governance:
    """How changes are governed now."""
    with connect(settings, Role.API) as connection, connection.cursor(row_factory=class_row(Governance)) as cursor:
        found = cursor.execute(GOVERNANCE).fetchone()
    assert found is not None  # its first row comes with the migration
    return found


def ensure_account(settings: Settings, account: str) -> None:
    """Raise ChangeRefused where a limit of `account` would bind nobody: it is neither ours nor the warehouse's."""
    if account in (ALL_ACCOUNTS, settings.account):
        return
    with connect(settings, Role.API) as connection:
        known = {settings.account, *(name for (name,) in connection.execute(ACCOUNTS))}
    if account not in known:
        raise ChangeRefused(f"there is no account {account}", f"Known: {', '.join(sorted(known))}; '*' is all of them")


def set_limit(settings: Settings, account: str, code: str, value: Decimal, actor: str) -> dict[str, Any]:
    """Tighten at once, or propose to loosen; the warehouse's answer says which. Raises ChangeRefused."""
    payload = {"account": account, "code": code, "value": f"{value:f}"}
    return _proposed(settings, "limit", payload, actor, "See `bifrost limits show`")


def set_governance(settings: Settings, mode: str, cool_off_seconds: int, actor: str) -> dict[str, Any]:
    """Strengthen it at once, or propose to weaken it under what is in force. Raises ChangeRefused."""
    payload = {"mode": mode, "cool_off_seconds": cool_off_seconds}
    return _proposed(settings, "governance", payload, actor, "See `bifrost governance show`")


def release(settings: Settings, scope: str, key: str, reason: str, actor: str) -> dict[str, Any]:
    """Propose that orders flow again in a scope. Raises ChangeRefused where no such switch is engaged."""
    payload = {"scope": scope, "key": key, "reason": reason}
    return _proposed(settings, "kill_switch_release", payload, actor, "The Operations page lists the engaged ones")


def _proposed(settings: Settings, kind: str, payload: Mapping[str, Any], actor: str, remedy: str) -> dict[str, Any]:
    answer = _call(settings, "select trading.propose_change_v1(%s, %s, %s)", kind, json.dumps(payload), actor)
    if answer["outcome"] == "refused":
        raise ChangeRefused(answer["reason"], remedy)
    return answer


def approve(settings: Settings, proposal: Proposal, actor: str) -> dict[str, Any]:
    """Apply as the second person. Raises ChangeRefused."""
    return _decided(settings, "select trading.approve_change_v1(%s, %s, %s)", proposal, actor)


def apply(settings: Settings, proposal: Proposal, actor: str) -> dict[str, Any]:
    """Apply what has cooled off. Raises ChangeRefused."""
    return _decided(settings, "select trading.apply_cooled_v1(%s, %s, %s)", proposal, actor)


def _decided(settings: Settings, statement: str, proposal: Proposal, actor: str) -> dict[str, Any]:
    answer = _call(settings, statement, proposal.proposal_id, proposal.diff_hash, actor)
    if answer["outcome"] != "applied":
        raise ChangeRefused(f"not applied: {answer['reason']}", proposal.waits_for())
    return answer


def _call(settings: Settings, statement: str, *params: Any) -> dict[str, Any]:
    with connect(settings, Role.API) as connection:
        row = connection.execute(statement.encode(), params).fetchone()
    return dict(row[0]) if row else {}
