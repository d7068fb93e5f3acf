"""A person at the daemon: orders by hand, stopping, and what it takes to go on; real processes."""

from __future__ import annotations

import time
import uuid

import pytest

from bifrost_core.warehouse import tokens
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.tokens import Scope
from tests.execution_daemon.shell.conftest import shop as shop


class Person:
    """Somebody with a token."""

    def __init__(self, shop, name, *scopes):
        self._client = shop.daemon.client(tokens.create(shop.settings, name, scopes, 1, "root"))

    def get(self, path, **params):
        answer = self._client.get(path, params=params)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path, body=None, key=None, status=200):
        answer = self._client.post(path, json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def anna(shop):
    """A trader in a shop that is ready, in the middle of the session."""
    shop.exchange.move_clock(shop.session.open_at)
    shop.daemon.start()
    return Person(shop, "anna", Scope.READ, Scope.TRADE, Scope.RISK)


LIMIT = {"symbol": "MSFT", "side": "buy", "qty": "10", "order_type": "limit", "limit_price": "27.90"}


def status_of(person, order_id):
    return person.get(f"/orders/{order_id}")["order"]["ord_status"]


def test_an_order_by_hand_is_decided_once_amended_and_canceled(shop, anna):
    """A retry would buy twice; an order that cannot be taken back is no order for a person."""
    first = anna.post("/orders", LIMIT, key="k")
    again = anna.post("/orders", LIMIT, key="k")
    assert first == again
    (decision,) = first["decisions"]
    assert (decision["outcome"], decision["reason_code"], decision["qty"]) == ("accepted", "ACCEPTED", "10")
    key = decision["client_order_id"]
    shop.daemon.wait(lambda: status_of(anna, key) == "new", "the order to work")
    assert anna.post("/orders", LIMIT | {"qty": "11"}, key="k", status=422)["type"].endswith("key-reused")
    (amended,) = anna.post(f"/orders/{key}/amend", {"limit_price": "27.80"})["decisions"]
    shop.daemon.wait(lambda: status_of(anna, key) == "canceled", "the original to end")
    new = amended["client_order_id"]
    shop.daemon.wait(lambda: status_of(anna, new) == "new", "the replacement to work")
    anna.post(f"/orders/{new}/cancel", {"reason": "enough"})
    shop.daemon.wait(lambda: status_of(anna, new) == "canceled", "the replacement to end")
    assert anna.post(f"/orders/{new}/cancel", {"reason": "again"}, status=409)["type"].endswith("refused")
    assert anna.post("/orders/nobody/cancel", {"reason": "x"}, status=404)["type"].endswith("not-found")


def test_a_denied_order_is_an_answer_with_its_code(anna):
    """Who is denied must learn why, and what to do about it."""
    huge = {"symbol": "MSFT", "side": "buy", "qty": "90000", "reference_price": "28"}
    (decision,) = anna.post("/orders", huge)["decisions"]
    assert decision["outcome"] == "denied"
    (kept,) = anna.get("/decisions", outcome="denied")["items"]
    assert kept["reason_code"] == decision["reason_code"] == "MAX_ORDER_VALUE"
    assert anna.post("/orders", huge | {"symbol": "NONE"}, status=404)["type"].endswith("not-found")


def test_pages_hold_every_order_once(anna):
    """A reader who pages would miss orders, or count them twice."""
    made = [anna.post("/orders", LIMIT | {"qty": str(n)})["decisions"][0]["client_order_id"] for n in range(1, 6)]
    seen, after = [], None
    for _ in range(4):
        page = anna.get("/orders", limit=2, **({"after": after} if after else {}))
        seen += [one["client_order_id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    accepted = {one["client_order_id"] for one in anna.get("/decisions", outcome="accepted")["items"]}
    assert len(seen) == len(set(seen))
    assert set(seen) == accepted <= set(made)


def test_halt_now_and_resume_with_consent(shop, anna):
    """One click must stop the shop; one click must not start it again."""
    anna.post("/halt", {"scope": "symbol", "key": "MSFT", "reason": "drill"})
    assert anna.post("/orders", LIMIT)["decisions"][0]["reason_code"] == "KILL_SWITCH"
    change = anna.post("/resume", {"scope": "symbol", "key": "MSFT", "reason": "over"})
    assert change["outcome"] == "proposed"
    named = {"proposal_id": change["proposal_id"], "diff_hash": change["diff_hash"]}
    assert "another person" in anna.post("/approve", named, status=409)["detail"]
    assert "cool-off" in anna.post("/apply", named, status=409)["detail"]
    bob = Person(shop, "bob", Scope.RISK)
    assert bob.post("/approve", named | {"diff_hash": "0" * 64}, status=409)["type"].endswith("refused")
    assert bob.post("/approve", named)["outcome"] == "applied"
    assert anna.post("/orders", LIMIT)["decisions"][0]["outcome"] == "accepted"
    nothing = {"scope": "symbol", "key": "MSFT", "reason": "x"}
    assert "no switch of symbol MSFT" in anna.post("/resume", nothing, status=409)["detail"]
    with connect(shop.settings, Role.READER) as connection:
        refused = connection.execute(
            "select payload->>'actor', payload->'payload' from audit.chain"
            " where kind = 'change_refused' and payload->>'how' = 'proposal'"
        ).fetchall()
        assert refused == [("anna", nothing)]
        actors = connection.execute("select payload->>'actor' from audit.chain where kind = 'kill_switch'").fetchall()
    assert actors == [("anna",), ("bob",)]


def halted(anna, scope, key):
    body = {"scope": scope, "reason": "drill", **({"key": key} if key else {})}
    return anna.post("/halt", body)["is_known"]


def test_a_halt_says_whether_its_key_is_known(shop, anna):
    """Who mistypes a name would believe that it is stopped while it trades on."""
    shop.write({"MSFT": "0.1"})
    anna.post("/orders", LIMIT | {"strategies": ["by hand"]})
    known = [
        ("global", ""), ("symbol", "MSFT"), ("account", shop.settings.account), ("strategy", "momentum_12_1"),
        ("strategy", "by hand"),
    ]  # fmt: skip
    assert [halted(anna, *one) for one in known] == [True] * len(known)
    unknown = [("symbol", "MSFTT"), ("symbol", "SPX"), ("account", "papr"), ("strategy", "momentum")]
    assert [halted(anna, *one) for one in unknown] == [False] * len(unknown)
    engaged = {(one["scope"], one["key"]) for one in anna.get("/state")["kill_switches"]}
    assert engaged == {(scope, key or "*") for scope, key in known + unknown}


@pytest.mark.parametrize(
    "trouble", ["revoke select on reference.instruments from bifrost_api", "lock table reference.instruments"]
)
def test_a_halt_does_not_wait_for_what_is_known(shop, anna, owner, trouble):
    """Trading would go on because a table that has nothing to do with stopping cannot be read."""
    with owner.transaction() as connection:
        connection.execute(trouble)
        if trouble.startswith("revoke"):
            connection.commit()
        assert halted(anna, "symbol", "MSFT") is None
    assert anna.get("/state")["kill_switches"][0]["key"] == "MSFT"


def test_cancel_all_and_flatten_leave_nothing(shop):
    """The last resort has to work at once, and to the last share."""
    shop.daemon.start()
    anna = Person(shop, "anna", Scope.READ, Scope.TRADE)
    shop.daemon.wait_intake(shop.write({"MSFT": "0.1"}), "worked")
    shop.move_clock(shop.session.open_at)
    shop.daemon.wait(lambda: bool(anna.get("/positions")["items"]), "a position")
    (held,) = anna.get("/positions")["items"]
    order = anna.post("/orders", LIMIT | {"limit_price": "27"})["decisions"][0]["client_order_id"]
    assert anna.post("/cancel-all", {"reason": "drill"})["client_order_ids"] == [order]
    shop.daemon.wait(lambda: status_of(anna, order) == "canceled", "the order to end")
    (decision,) = anna.post("/flatten", {"reason": "drill"})["decisions"]
    assert (decision["symbol"], decision["side"], decision["qty"]) == ("MSFT", "sell", held["quantity"])
    shop.until_sent()
    shop.move_clock(shop.session.close_at)
    shop.daemon.wait(lambda: anna.get("/positions")["items"] == [], "the position to be closed")


def test_one_order_cancels_the_other(shop):
    """A take profit and a stop over one position: both executed, they would sell it twice."""
    shop.daemon.start()
    anna = Person(shop, "anna", Scope.READ, Scope.TRADE)
    shop.daemon.wait_intake(shop.write({"MSFT": "0.1"}), "worked")
    shop.move_clock(shop.session.open_at)
    shop.daemon.wait(lambda: bool(anna.get("/positions")["items"]), "a position")
    (held,) = anna.get("/positions")["items"]
    sale = {"symbol": "MSFT", "side": "sell", "qty": held["quantity"], "time_in_force": "gtc", "reduce_only": True}
    profit = sale | {"order_type": "limit", "limit_price": "30"}
    stop = sale | {"order_type": "stop", "stop_price": "28"}
    decisions = anna.post("/oco", {"orders": [profit, stop]})["decisions"]
    assert [one["reason_code"] for one in decisions] == ["ACCEPTED", "ACCEPTED"]
    first, second = (one["client_order_id"] for one in decisions)
    shop.daemon.wait(lambda: status_of(anna, second) == "new", "the stop to work")
    shop.move_clock(shop.session.close_at)
    shop.daemon.wait(lambda: status_of(anna, first) == "canceled", "the other to be canceled")
    assert status_of(anna, second) == "filled"
    assert anna.get("/positions")["items"] == []


@pytest.mark.parametrize(
    ("orders", "fault"),
    [
        ([LIMIT], "at least 2"),
        ([LIMIT, LIMIT | {"qty": "11"}], "the same qty"),
        ([LIMIT, LIMIT | {"take_profit": "30"}], "take_profit"),
        ([LIMIT, LIMIT | {"limit_price": None}], "needs limit_price"),
        ([LIMIT] * 6, "at most 5"),
    ],
)
def test_what_cannot_be_one_of_several_is_refused(anna, orders, fault):
    """A group that does not mean what it says would leave one order working."""
    problem = anna.post("/oco", {"orders": orders}, status=422)
    assert problem["type"] == "urn:bifrost:problem:invalid-request"
    assert fault in problem["detail"]


def test_closing_that_was_cut_off_closes_once(shop):
    """A second order for the same shares would open a short position."""
    shop.daemon.start()
    anna = Person(shop, "anna", Scope.READ, Scope.TRADE)
    shop.daemon.wait_intake(shop.write({"MSFT": "0.1"}), "worked")
    shop.move_clock(shop.session.open_at)
    shop.daemon.wait(lambda: bool(anna.get("/positions")["items"]), "a position")
    (first,) = anna.post("/flatten", {"reason": "drill"}, key="k")["decisions"]
    with connect(shop.settings, Role.OWNER) as connection:
        connection.execute(
            "update trading.commands set status = 'failed', status_code = null, response = null"
            " where idempotency_key = 'k'"
        )
    (again,) = anna.post("/flatten", {"reason": "drill"}, key="k")["decisions"]
    assert again["client_order_id"] == first["client_order_id"]
    assert (first["outcome"], again["reason_code"]) == ("accepted", "DUPLICATE_ORDER")
    shop.until_sent()
    shop.move_clock(shop.session.close_at)
    shop.daemon.wait(lambda: anna.get("/positions")["items"] == [], "the position to be closed")


def test_limits_say_what_is_left(shop, anna):
    """A trader would learn of a full limit by being denied."""
    limits = {one["code"]: one for one in anna.get("/limits")["items"]}
    gross = limits["MAX_GROSS"]
    assert (gross["used"], gross["headroom"], gross["value"]) == ("0", "2", "2")
    fills_up = {one["code"] for one in limits.values() if one["headroom"] is not None}
    assert fills_up >= {"MAX_LEVERAGE", "MAX_SECTOR", "BUYING_POWER", "DAILY_LOSS_HALT", "DRAWDOWN_REDUCE", "MAX_ADV"}
    assert len(fills_up) == 24
    anna.post("/orders", LIMIT)
    time.sleep(0.1)
    text = shop.daemon.client().get("/metrics").text
    assert 'bifrost_limit_headroom{code="MAX_DAILY_ORDERS",unit="orders"} 9999.0' in text
    for name in (
        "bifrost_reconcile_seconds_count",
        "bifrost_orders_to_send",
        "bifrost_seconds_since_clean_reconciliation",
        "bifrost_event_to_decision_seconds_bucket",
        "bifrost_breaks 0.0",
        "bifrost_lease_epoch",
        'bifrost_limit_headroom{code="MESSAGE_BURST",unit="messages"}',
        'bifrost_limit_headroom{code="NOT_RECONCILED",unit="seconds"}',
        'bifrost_message_tokens{for="orders"}',
        'bifrost_message_tokens{for="cancels"} 100.0',
    ):
        assert name in text
