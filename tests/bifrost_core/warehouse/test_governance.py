"""Who may loosen what, and how: migrations 0011 and 0013, by its real roles against PostgreSQL."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from bifrost_core.trading.limits import DEFAULT_LIMITS, TIGHTER_WHEN_HIGHER, LimitCode
from bifrost_core.warehouse.connect import Role, connect

GROSS = {"account": "*", "code": "MAX_GROSS"}


class Office:
    """The API's role, which proposes and approves in the name of people."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def call(self, function: str, *arguments: Any) -> dict[str, Any]:
        places = ", ".join(["%s"] * len(arguments))
        (answer,) = self.connection.execute(f"select trading.{function}({places})", arguments).fetchone()
        return answer

    def propose(self, kind: str, payload: dict[str, Any], actor: str = "ann") -> dict[str, Any]:
        return self.call("propose_change_v1", kind, json.dumps(payload), actor)

    def approve(self, proposal: dict[str, Any], actor: str) -> dict[str, Any]:
        return self.call("approve_change_v1", proposal["proposal_id"], proposal["diff_hash"], actor)

    def apply(self, proposal: dict[str, Any], actor: str = "ann") -> dict[str, Any]:
        return self.call("apply_cooled_v1", proposal["proposal_id"], proposal["diff_hash"], actor)

    def engage(self, scope: str = "symbol", key: str = "AAPL") -> None:
        self.connection.execute("select trading.set_kill_switch_v1(%s, %s, true, 'a test', 'ann', now())", (scope, key))

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def gross(self) -> int:
        return int(self.read("select value from trading.limits where code = 'MAX_GROSS' order by version desc")[0][0])


@pytest.fixture
def office(settings):
    """An autocommit connection of the API's role."""
    with connect(settings, Role.API) as connection:
        connection.autocommit = True
        yield Office(connection)


def let_pass(owner, seconds: int) -> None:
    """Move every proposal into the past: the server's clock cannot be moved."""
    with owner.transaction() as connection:
        connection.execute(
            "update trading.change_proposals set proposed_at = proposed_at - make_interval(secs => %(s)s),"
            " cool_off_until = cool_off_until - make_interval(secs => %(s)s),"
            " expires_at = expires_at - make_interval(secs => %(s)s)",
            {"s": seconds},
        )


def two_person(office: Office) -> None:
    assert office.propose("governance", {"mode": "two_person", "cool_off_seconds": 60})["outcome"] == "applied"


def test_a_new_installation_has_a_cool_off_and_says_so(office):
    """A lone operator must be able to work, and to see that nobody else looked."""
    answer = office.propose("limit", GROSS | {"value": 3})
    assert (answer["outcome"], answer["mode"]) == ("proposed", "cool_off")
    assert answer["needs"] == "a cool-off of 60 s, or the approval of a second person"


@pytest.mark.parametrize(("code", "value"), [("MAX_GROSS", "1.5"), ("MAX_GROSS", "2"), ("SIMILAR_ORDER", "30")])
def test_tightening_is_immediate(office, code, value):
    """The person who sees the danger must not wait for anybody."""
    assert office.propose("limit", GROSS | {"code": code, "value": value})["outcome"] == "applied"
    found = office.read(f"select value::text, actor from trading.limits where code = '{code}' and version = 2")
    assert found == [(value, "ann")]


@pytest.mark.parametrize(("code", "value"), [("MAX_GROSS", "2.0001"), ("SIMILAR_ORDER", "9"), ("MIN_TRADE_VALUE", "0")])
def test_loosening_changes_nothing_yet(office, code, value):
    """Either way round, what allows more waits."""
    assert office.propose("limit", GROSS | {"code": code, "value": value})["outcome"] == "proposed"
    assert office.read(f"select max(version) from trading.limits where code = '{code}'") == [(1,)]


def test_a_limit_of_one_account_is_held_against_what_it_has_now(office):
    """A row for one account would be the way around the limit for all."""
    mine = GROSS | {"account": "paper"}
    assert office.propose("limit", mine | {"value": "2.5"})["outcome"] == "proposed"
    assert office.propose("limit", mine | {"value": "1"})["outcome"] == "applied"
    assert office.propose("limit", mine | {"value": "1.5"})["outcome"] == "proposed"
    assert office.gross() == 2 or office.read("select 1 from trading.limits where account = 'paper'")


def test_a_second_person_approves_at_once(office):
    """Four eyes are enough, and two are not."""
    two_person(office)
    proposal = office.propose("limit", GROSS | {"value": 3})
    assert "another person" in office.approve(proposal, "Ann ")["reason"]
    assert "second person" in office.apply(proposal)["reason"]
    assert office.gross() == 2
    assert office.approve(proposal, "bob")["outcome"] == "applied"
    assert office.gross() == 3
    assert "was applied" in office.approve(proposal, "bob")["reason"]


def test_the_cool_off_has_to_pass(office, owner):
    """A second thought is worth nothing before its second has come."""
    proposal = office.propose("limit", GROSS | {"value": 3})
    assert "cool-off ends" in office.apply(proposal)["reason"]
    let_pass(owner, 61)
    assert office.apply(proposal)["how"] == "cool-off"
    assert office.gross() == 3


def test_a_proposal_expires(office, owner):
    """An old proposal, forgotten, would be approved by a slip."""
    proposal = office.propose("limit", GROSS | {"value": 3})
    let_pass(owner, 60 + 24 * 3600)
    assert "expired" in office.approve(proposal, "bob")["reason"]
    assert "expired" in office.apply(proposal)["reason"]


def test_only_what_was_read_is_approved(office):
    """The hash is of the exact difference: not of another number, nor of another old side."""
    proposal = office.propose("limit", GROSS | {"value": 3})
    assert "hash" in office.approve(proposal | {"diff_hash": "0" * 64}, "bob")["reason"]
    assert "no such" in office.approve({"proposal_id": 99, "diff_hash": "0" * 64}, "bob")["reason"]
    assert proposal["diff"]["old"] == {"account": "*", "version": 1, "value": "2"}
    assert proposal["diff"]["new"] == {"value": "3"}
    office.propose("limit", GROSS | {"value": 1})
    assert "changed since" in office.approve(proposal, "bob")["reason"]
    assert office.gross() == 1


def test_a_kill_switch_is_engaged_by_anybody_and_released_by_two(office):
    """Stopping is free; letting flow again is loosening."""
    office.engage()
    with pytest.raises(psycopg.Error) as caught:
        office.connection.execute("select trading.set_kill_switch_v1('symbol', 'AAPL', false, 'x', 'ann', now())")
    assert caught.value.sqlstate == "BF003"
    proposal = office.propose("kill_switch_release", {"scope": "symbol", "key": "AAPL", "reason": "over"})
    assert office.read("select engaged from trading.kill_switches") == [(True,)]
    assert office.approve(proposal, "bob")["outcome"] == "applied"
    assert office.read("select engaged, reason, actor from trading.kill_switches") == [(False, "over", "bob")]


def test_a_switch_engaged_again_needs_a_new_release(office):
    """The approval was for the danger of then, not for the one of now."""
    office.engage()
    proposal = office.propose("kill_switch_release", {"scope": "symbol", "key": "AAPL", "reason": "over"})
    office.engage()
    assert "changed since" in office.approve(proposal, "bob")["reason"]
    assert office.read("select engaged from trading.kill_switches") == [(True,)]


def test_weaker_governance_needs_what_it_would_weaken(office):
    """Otherwise one would first abolish the second person."""
    two_person(office)
    weaker = office.propose("governance", {"mode": "cool_off", "cool_off_seconds": 60})
    assert weaker["needs"] == "the approval of a second person"
    assert office.apply(weaker)["outcome"] == "refused"
    assert office.approve(weaker, "bob")["outcome"] == "applied"
    assert office.propose("governance", {"mode": "cool_off", "cool_off_seconds": 59})["outcome"] == "proposed"
    assert office.propose("governance", {"mode": "cool_off", "cool_off_seconds": 3600})["outcome"] == "applied"


def test_a_longer_cool_off_holds_for_what_was_proposed_before(office, owner):
    """Proposing just before governance is tightened would be a way around it."""
    proposal = office.propose("limit", GROSS | {"value": 3})
    office.propose("governance", {"mode": "cool_off", "cool_off_seconds": 3600})
    let_pass(owner, 61)
    assert "cool-off ends" in office.apply(proposal)["reason"]


@pytest.mark.parametrize(
    ("kind", "payload", "fault"),
    [
        ("limit", GROSS | {"value": "NaN"}, "finite"),
        ("limit", GROSS | {"value": "Infinity"}, "finite"),
        ("limit", GROSS | {"value": -1}, "finite"),
        ("limit", GROSS, "finite"),
        ("limit", {"account": "*", "code": "MAX_FUN", "value": 1}, "no limit MAX_FUN"),
        ("limit", {"code": "MAX_GROSS", "value": 1}, "names no account"),
        ("kill_switch_release", {"scope": "global", "key": "*", "reason": "x"}, "no switch"),
        ("kill_switch_release", {"scope": "global", "key": "*"}, "no reason"),
        ("governance", {"mode": "none", "cool_off_seconds": 5}, "two_person or cool_off"),
        ("governance", {"mode": "cool_off", "cool_off_seconds": 0}, "two_person or cool_off"),
        ("audit", {}, "no change of kind"),
        ("limit", GROSS | {"value": "many"}, "invalid input syntax"),
        ("governance", {"mode": "cool_off", "cool_off_seconds": 10**12}, "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused_and_audited(office, kind, payload, fault):
    """NaN is tighter than nothing and looser than everything; and who tries what cannot be wants to be known."""
    answer = office.propose(kind, payload)
    assert (answer["outcome"], answer["mode"]) == ("refused", "cool_off")
    assert fault in answer["reason"]
    ((entry,),) = office.read("select payload from audit.chain where kind = 'change_refused'")
    assert entry == {"kind": kind, "payload": payload, "actor": "ann", "how": "proposal", "reason": answer["reason"]}
    assert office.gross() == 2
    assert office.read("select audit.verify()") == [(None,)]


def test_nobody_acts_without_a_name(office):
    """An audit entry without a person behind it."""
    assert "actor" in office.propose("limit", GROSS | {"value": 3}, actor=" ")["reason"]
    proposal = office.propose("limit", GROSS | {"value": 3})
    assert "actor" in office.approve(proposal, "")["reason"]


def test_every_step_is_in_the_audit_chain(office):
    """Proposal, refusal and approval: who wanted what, and who let it."""
    proposal = office.propose("limit", GROSS | {"value": 3})
    office.approve(proposal, "ann")
    office.approve(proposal, "bob")
    kinds = [
        kind for (kind,) in office.read("select kind from audit.chain where payload->>'code' is null order by seq")
    ]
    assert kinds[-3:] == ["change_proposed", "change_refused", "change_applied"]
    assert office.read("select payload->>'actor' from audit.chain where kind = 'limit' order by seq desc limit 1") == [
        ("bob",)
    ]
    assert office.read("select audit.verify()") == [(None,)]


LOOSENINGS = [
    'select trading.propose_change_v1(\'limit\', \'{"account": "*", "code": "MAX_GROSS", "value": 9}\', \'x\')',
    "select trading.approve_change_v1(1, '', 'x')",
    "select trading.apply_cooled_v1(1, '', 'x')",
    "select trading.make_change('{}', 'x', 1)",
    'select trading.propose_change(\'limit\', \'{"account": "*", "code": "MAX_GROSS", "value": 1}\', \'x\')',
    "insert into trading.limits values ('*', 'MAX_GROSS', 2, 99, 'equity_fraction', 'x')",
    "insert into trading.governance values (2, 'cool_off', 1, 'x')",
    "update trading.change_proposals set expires_at = 'infinity'",
    "update trading.limit_kinds set tighter_when = 'higher'",
    "update trading.kill_switches set engaged = false",
]


@pytest.mark.parametrize("role", [Role.TRADER, Role.PIPELINE, Role.READER])
@pytest.mark.parametrize("statement", LOOSENINGS)
def test_no_part_that_runs_can_loosen(settings, role, statement):
    """A daemon, an asset or a page that was taken over could raise its own limits."""
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("statement", LOOSENINGS[3:])
def test_the_api_has_no_other_way(settings, statement):
    """Its role would be the second person."""
    with connect(settings, Role.API) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_trader_engages_and_releases_nothing(settings, office):
    """The daemon must be able to stop itself, and not to start itself again."""
    with connect(settings, Role.TRADER) as connection:
        connection.autocommit = True
        connection.execute("select trading.set_kill_switch_v1('global', '*', true, 'a test', 'daemon', now())")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select trading.set_kill_switch_v1('global', '*', false, 'a test', 'daemon', now())")
    assert caught.value.sqlstate == "BF003"
    assert office.read("select engaged from trading.kill_switches") == [(True,)]


def test_the_kinds_of_limits_are_those_of_the_code(office):
    """What the database takes for tightening must be what the code denies more for."""
    rows = office.read("select code, unit, tighter_when = 'higher' from trading.limit_kinds")
    assert sorted(rows) == sorted((x.code.value, x.unit, x.code in TIGHTER_WHEN_HIGHER) for x in DEFAULT_LIMITS)
    assert len(rows) == len(LimitCode)


def test_a_switch_engaged_anew_is_not_released_with_its_last_engagement(office, settings):
    """Somebody halts for a second reason while the first one's release is approved: the new halt was wiped out."""
    office.engage()
    proposal = office.propose("kill_switch_release", {"scope": "symbol", "key": "AAPL", "reason": "over"})
    with connect(settings, Role.API) as halting, ThreadPoolExecutor(1) as other:
        halting.execute("select trading.set_kill_switch_v1('symbol', 'AAPL', true, 'something else', 'cat', now())")
        answer = other.submit(office.approve, proposal, "bob")
        while halting.execute("select from pg_locks where not granted").fetchone() is None and not answer.done():
            pass
        halting.commit()
        assert answer.result()["outcome"] == "refused"
    assert office.read("select engaged, reason from trading.kill_switches") == [(True, "something else")]
