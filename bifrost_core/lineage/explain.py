"""`explain`: follow one fill or order back to the bytes its prices came from, or to the person who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost_core.errors import BifrostError
from bifrost_core.lineage import statements as sql
from bifrost_core.lineage.link import Link, labelled, missing, number
from bifrost_core.lineage.research import Research, Row

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse

FILL_PREFIX = "fill:"
REPLACES = "ended"  # what a replacement waits for: trading.orders.release


def explain(warehouse: Warehouse, identifier: str) -> Link:
    """The trace of a client order id, of `fill:<fill id>` or of a broker's execution id.

    Raises BifrostError where nothing has that id. A denied order, which was never one, starts at its decision.
    """
    with warehouse.transaction() as connection:
        trace = _Trace(connection, warehouse.settings.benchmark)
        order_id = {"client_order_id": identifier, "parent_id": identifier}
        if fill := trace.one(sql.FILL, {"fill_id": _fill_id(identifier), "exec_id": identifier}):
            return trace.fill(fill)
        if order := trace.one(sql.ORDER, order_id):
            return trace.order(order)
        if trace.one(sql.PARENT, order_id):
            return trace.parent(identifier)
        if decision := trace.one(sql.DECISION, order_id):
            return trace.decision(decision, [*trace.amendment(decision), trace.origin(decision)])
    raise BifrostError(
        f"no order, fill or decision has the id {identifier!r}",
        "Take a client order id from trading.orders or fill:<fill_id> from trading.fills, or see the Provenance page",
    )


def _fill_id(identifier: str) -> int | None:
    digits = identifier.removeprefix(FILL_PREFIX)
    return int(digits) if identifier.startswith(FILL_PREFIX) and digits.isascii() and digits.isdigit() else None


class _Trace(Research):
    """What lies between a fill and its cause: a target batch, or a command that a person gave."""

    def fill(self, row: Row) -> Link:
        source = self.order_named(row["client_order_id"])
        executed = f"{row['side']} {number(row['last_qty'])} {row['symbol']} at {number(row['last_px'])}"
        facts = (("", executed), ("commission", number(row["commission"])), ("session", str(row["session"])))
        return Link("fill", f"{FILL_PREFIX}{row['fill_id']} ({row['exec_id']})", labelled(facts), sources=(source,))

    def order_named(self, client_order_id: str) -> Link:
        row = self.one(sql.ORDER, {"client_order_id": client_order_id})
        return self.order(row) if row else missing("order", client_order_id, "trading.orders has no such order")

    def order(self, row: Row) -> Link:
        decision = self.one(sql.DECISION, row)
        asked = f"{row['side']} {number(row['order_qty'])} {row['symbol']}, {row['order_type']} {row['time_in_force']}"
        filled = f"{row['ord_status']}, {number(row['cum_qty'])} filled"
        facts = [("", asked), ("", filled), ("created", f"{row['created_at']:%Y-%m-%d %H:%M} UTC")]
        if row["after_id"]:
            facts.append(("waited for", f"{row['after_id']} to be {row['release']}"))
        problem = _not_accepted(decision) or self.not_linked(row)
        source = self.decided(row["client_order_id"], decision, self.behind(row, decision))
        return Link("order", row["client_order_id"], labelled(facts), problem=problem, sources=(source,))

    def not_linked(self, order: Row) -> str | None:
        """What is wrong with the order that this one waited for."""
        first = order["after_id"]
        is_there = first is None or self.one(sql.ORDER, {"client_order_id": first})
        return None if is_there else f"it waited for {first}, which trading.orders does not have"

    def behind(self, order: Row, decision: Row | None) -> list[Link]:
        """What an order came from: the one it replaces, the parent it is a slice of, or who asked for it."""
        if order["release"] == REPLACES:
            return [*self.amendment(decision), self.order_named(order["after_id"])]
        return [self.parent(order["parent_id"]) if order["parent_id"] else self.origin(order)]

    def parent(self, parent_id: str) -> Link:
        row = self.one(sql.PARENT, {"parent_id": parent_id})
        if row is None:
            return missing("parent", parent_id, "trading.parent_orders has no such order")
        decision = self.one(sql.DECISION, {"client_order_id": parent_id})
        asked = f"{row['side']} {number(row['order_qty'])} {row['symbol']} by {row['schedule']['algo']}"
        times = f"{row['start_at']:%Y-%m-%d %H:%M} .. {row['end_at']:%H:%M} UTC"
        source = self.decided(parent_id, decision, [self.origin(row)])
        facts = labelled([("", asked), ("", times), ("", row["status"])])
        return Link("parent", parent_id, facts, problem=_not_accepted(decision), sources=(source,))

    def decided(self, client_order_id: str, decision: Row | None, behind: list[Link]) -> Link:
        if decision is None:
            return missing("decision", client_order_id, "trading.risk_decisions has no decision", *behind)
        return self.decision(decision, behind)

    def decision(self, row: Row, behind: list[Link]) -> Link:
        limit = [("limit", number(row["limit_value"])), ("actual", number(row["actual_value"]))]
        facts = [("", f"{row['outcome']}, {row['reason_code']}"), *(limit if row["limit_value"] is not None else [])]
        return Link("decision", str(row["decision_id"]), labelled(facts), sources=tuple(behind))

    def amendment(self, decision: Row | None) -> list[Link]:
        """The command of the person who amended an order; the daemon amends orders of a group by itself."""
        command_id = decision["detail"].get("command_id") if decision else None
        return [self.command(command_id)] if command_id else []

    def origin(self, order: Row) -> Link:
        """What `batch_id` names: a batch of targets, or the command of a person."""
        if target := self.one(sql.TARGET, order):
            return self.target(target)
        return self.command(order["batch_id"])

    def command(self, command_id: object) -> Link:
        row = self.one(sql.COMMAND, {"command_id": command_id})
        if row is None:
            return missing("command", str(command_id), "neither a batch nor a command has this id")
        facts = [("by", row["actor"]), ("", row["route"]), ("", row["body"]), ("key", row["idempotency_key"]),
                 ("begun", f"{row['begun_at']:%Y-%m-%d %H:%M:%S} UTC"), ("", row["status"])]  # fmt: skip
        return Link("command", str(command_id), labelled(facts))


def _not_accepted(decision: Row | None) -> str | None:
    is_accepted = decision is not None and decision["outcome"] == "accepted"
    return None if is_accepted else "no risk decision accepted it"
