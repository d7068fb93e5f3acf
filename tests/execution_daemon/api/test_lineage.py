"""What a person had traded leads back to the command: who asked for what, and when; real processes."""

from __future__ import annotations

import json
import uuid

import pytest

from bifrost_core import lineage
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.execution_daemon.api.test_trading import anna as anna
from tests.execution_daemon.shell.conftest import shop as shop

BUY = {"symbol": "MSFT", "side": "buy", "qty": "10"}


def kinds(trace):
    """The kinds along the first source of each link."""
    found = [trace.kind]
    while trace.sources:
        trace = trace.sources[0]
        found.append(trace.kind)
    return found


@pytest.fixture
def explained(shop):
    """Traces an order, and fails where a link of it leads nowhere."""

    def explain(identifier):
        trace = lineage.explain(Warehouse(shop.settings, Role.READER), identifier)
        assert not trace.broken, str(trace)
        return trace

    return explain


@pytest.fixture
def unresolved(shop):
    """Every link of every fill that leads nowhere, by kind."""
    return lambda: sorted({(one.kind, one.detail) for one in lineage.unresolved(Warehouse(shop.settings, Role.READER))})


def ids(answer):
    return [one["client_order_id"] for one in answer["decisions"]]


def close(shop):
    shop.until_sent()
    shop.move_clock(shop.session.close_at)
    shop.daemon.wait(lambda: bool(shop.daemon.read("select from trading.fills")), "a fill")


def test_a_fill_leads_back_to_who_asked_for_it(shop, anna, explained, unresolved):
    """An order that nobody signed for is one that nobody can be asked about."""
    asked = uuid.uuid4()
    (key,) = ids(anna.post("/orders", BUY, key=str(asked)))
    close(shop)
    trace = explained("fill:1")
    assert kinds(trace) == ["fill", "order", "decision", "command"]
    *_, command = trace.walk()
    facts = dict(command.facts)
    assert (facts["by"], facts["key"]) == ("anna", str(asked))
    route, body, status = (text for label, text in command.facts if not label)
    assert (route, status) == ("POST /orders", "done")
    assert {name: json.loads(body)[name] for name in BUY} == BUY
    assert explained(key) == trace.sources[0]
    assert unresolved() == []


def test_a_denied_order_and_a_denied_amendment_lead_back_too(anna, explained):
    """Who tried is asked as often as who did."""
    (denied,) = ids(anna.post("/orders", BUY | {"qty": "90000"}))
    assert kinds(explained(denied)) == ["decision", "command"]
    (key,) = ids(anna.post("/orders", BUY | {"order_type": "limit", "limit_price": "20"}))
    (amended,) = anna.post(f"/orders/{key}/amend", {"limit_price": "90"})["decisions"]
    assert amended["outcome"] == "denied"
    amendment, original = explained(amended["client_order_id"]).sources
    assert [dict(link.facts)["by"] for link in (amendment, original)] == ["anna", "anna"]
    assert ["/amend" in str(link) for link in (amendment, original)] == [True, False]


def test_linked_orders_lead_back_to_one_command(shop, anna, explained, unresolved):
    """The exit of a bracket is traded for the same reason as its entry, and after it."""
    bracket = BUY | {"take_profit": "29", "stop_loss": "27"}
    entry, profit, loss = ids(anna.post("/orders", bracket))
    close(shop)
    commands = {[link.name for link in explained(key).walk()][-1] for key in (entry, profit, loss)}
    assert len(commands) == 1
    assert dict(explained(loss).facts)["waited for"] == f"{entry} to be executed"
    assert unresolved() == []


def test_a_replacement_leads_to_the_amendment_and_to_what_it_replaced(shop, anna, explained, unresolved):
    """Two people may have had a hand in it."""
    (key,) = ids(anna.post("/orders", BUY | {"order_type": "limit", "limit_price": "20"}))
    shop.daemon.wait(lambda: anna.get(f"/orders/{key}")["order"]["ord_status"] == "new", "the order to work")
    (new,) = ids(anna.post(f"/orders/{key}/amend", {"limit_price": "29"}))
    shop.daemon.wait(lambda: anna.get(f"/orders/{new}")["order"]["ord_status"] == "new", "what replaces it to work")
    close(shop)
    (decision,) = explained(new).sources
    amendment, original = decision.sources
    assert (amendment.kind, f"POST /orders/{key}/amend" in str(amendment)) == ("command", True)
    assert (original.name, kinds(original)) == (key, ["order", "decision", "command"])
    assert unresolved() == []


def test_a_slice_leads_to_its_parent_and_a_closing_order_to_its_command(shop, anna, explained, unresolved):
    """Neither is what the person wrote: both are why it was traded."""
    end = shop.session.close_at.isoformat()
    (parent,) = ids(anna.post("/orders", BUY | {"qty": "100", "schedule": "twap", "end_at": end}))
    shop.daemon.wait(lambda: bool(anna.get("/orders")["items"]), "a slice")
    (part,) = anna.get("/orders")["items"]
    assert kinds(explained(part["client_order_id"])) == ["order", "decision", "parent", "decision", "command"]
    assert explained(parent) == explained(part["client_order_id"]).sources[0].sources[0]
    close(shop)
    shop.move_clock(shop.next_session.open_at)
    (closing,) = ids(anna.post("/flatten", {"reason": "drill"}))
    close_out = explained(closing)
    assert kinds(close_out) == ["order", "decision", "command"]
    assert "POST /flatten" in str(close_out)
    assert unresolved() == []


@pytest.mark.parametrize(
    ("damage", "kind", "detail"),
    [
        ("delete from trading.commands", "command", "neither a batch nor a command has the id"),
        ("update trading.orders set after_id = 'x', release = 'filled', group_id = 'g'", "order", "it waited for x"),
        ("update trading.orders set parent_id = 'x'", "parent", "parent x is missing"),
        ("update trading.orders set batch_id = gen_random_uuid()", "command", "neither a batch nor a command"),
    ],
)
def test_what_leads_nowhere_is_found_in_the_trace_and_set_wise(shop, anna, unresolved, damage, kind, detail):
    """A check that finds no break proves nothing; both ways must name the same link."""
    ids(anna.post("/orders", BUY))
    close(shop)
    with connect(shop.settings, Role.OWNER) as connection:
        connection.execute(damage)
    ((found, text),) = unresolved()
    assert (found, text[: len(detail)]) == (kind, detail)
    broken = lineage.explain(Warehouse(shop.settings, Role.READER), "fill:1").broken
    assert [link.kind for link in broken] == [kind]
