"""Random statements of the daemon, sensible and not, for the warehouse in memory and for PostgreSQL alike."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from execution_daemon.simulation.warehouse.tables import Row, Tables

AT = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)
SESSION = date(2013, 2, 20)
SYMBOLS = ("AAPL", "FB", "IBM")
HOLDERS = ("one", "two")
BATCHES = tuple(uuid.UUID(int=n) for n in range(1, 5))
ORDERS = tuple(f"order-{n}" for n in range(14))
PARENTS = ("parent-1", "parent-2")
CODES = ("SEND_UNPROVEN", "RECONCILIATION_BREAK", "OVERFILL")
READS = (
    "account", "positions", "blocked", "live_orders", "all_orders", "all_events", "parents", "all_adjustments",
    "reserved", "undecided_batches", "accepted_batches", "last_batch", "known_symbols", "limits", "kill_switches",
    "last_reconciliation", "last_clean_reconciliation", "pending_batches", "lease_holder",
)  # fmt: skip


class Statements:
    """Draws statements with their parameters; `tables` is what is stored, so that most of them make sense."""

    def __init__(self, source: random.Random, tables: Tables) -> None:
        self.random = source
        self.tables = tables
        self.at = AT

    def next(self) -> tuple[str, dict[str, Any]]:
        """A statement by its name, and its parameters but for who asks."""
        self.at += timedelta(seconds=self.random.choice((0, 1, 40, 4000)))
        makers = (
            (4, self._submit), (6, self._event), (1, self._kill), (1, self._decide), (1, self._block),
            (1, self._unblock),
            (1, self._reconciliation), (1, self._adjustment), (1, self._parent_end), (1, self._release_batch),
            (1, self._equity), (1, self._beat), (6, self._read),
        )  # fmt: skip
        (maker,) = self.random.choices([m for _, m in makers], [weight for weight, _ in makers])
        return maker()

    def _submit(self) -> tuple[str, dict[str, Any]]:
        intents = [self._intent() for _ in range(self.random.randint(1, 3))]
        limit = Decimal(self.random.choice((0, 500, 5000, 1_000_000)))
        return "submit_intents", {"at": self.at, "reserve_limit": limit, "intents": json.dumps(intents)}

    def _intent(self) -> dict[str, Any]:
        pick = self.random.choice
        opens, denied, held = pick((True, True, False)), self.random.random() < 0.15, self.random.random() < 0.2
        qty = self.random.randint(1, 30)
        intent: dict[str, Any] = {
            "client_order_id": pick(ORDERS),
            "batch_id": str(pick(BATCHES)),
            "strategies": [pick(("mean", "trend"))],
            "symbol": pick(SYMBOLS),
            "side": pick(("buy", "sell")),
            "order_type": pick(("market", "limit")),
            "time_in_force": pick(("opg", "day")),
            "order_qty": str(qty),
            "reference_price": "12.5",
            "leg": "open" if opens else "close",
            "reserved_value": str(qty * 12.5) if opens else "0",
            "outcome": "denied" if denied else "accepted",
            "reason_code": "MAX_POSITION" if denied else "ACCEPTED",
            "limit_value": "10" if denied else None,
            "actual_value": "11" if denied else None,
            "detail": {"text": "too much"} if denied else {},
            "valid_until": pick((AT.isoformat(), None)),
        }
        if held:
            intent |= {"group_id": "g", "after_id": pick(ORDERS), "release": pick(("filled", "ended", "executed"))}
        if self.random.random() < 0.1:
            intent |= {"client_order_id": pick(PARENTS), "schedule": {"algo": "twap", "slices": 4}}
            intent |= {"start_at": AT.isoformat(), "end_at": (AT + timedelta(hours=1)).isoformat()}
        elif self.random.random() < 0.2:
            intent["parent_id"] = pick(PARENTS)
        if intent["order_type"] == "limit":
            intent |= {"limit_price": "12.25", "post_only": pick((True, False))}
        return intent

    def _event(self) -> tuple[str, dict[str, Any]]:
        known = list(self.tables.orders)
        if not known or self.random.random() < 0.03:
            return self._reported("no-such-order", {"symbol": "AAPL", "side": "buy", "cum_qty": Decimal(0)})
        order = self.random.choice(known)
        return self._reported(order["client_order_id"], order)

    def _reported(self, key: str, order: Row) -> tuple[str, dict[str, Any]]:
        pick = self.random.choice
        qty = self.random.choice((0, 0, 1, 3))
        before = order["cum_qty"] + (1 if self.random.random() < 0.05 else 0)
        position = self.tables.positions.get(("paper", order["symbol"]))
        held = position["quantity"] if position else Decimal(0)
        held += 1 if self.random.random() < 0.05 else 0
        after = held + qty * (1 if order["side"] == "buy" else -1)
        name = f"x{self.random.randint(1, 40)}"
        fill = {"exec_id": name, "side": order["side"], "last_qty": str(qty), "last_px": "12.3", "commission": "1",
                "corrects_exec_id": None}  # fmt: skip
        event = {
            "client_order_id": key,
            "kind": "partial_fill" if qty else pick(("new", "canceled", "no_answer", "absent")),
            "ord_status": "partially_filled" if qty else pick(("new", "canceled", "unknown", "expired")),
            "exec_id": name if qty else "",
            "exec_ref_id": "",
            "order_qty": pick((None, None, "5")),
            "last_qty": str(qty),
            "last_px": "12.3" if qty else None,
            "commission": "1" if qty else "0",
            "broker_order_id": pick(("", "b1", "b2")),
            "text": pick(("", "so it is")),
            "event_at": self.at.isoformat(),
            "cum_qty_before": str(before),
            "cum_qty": str(before + qty),
            "avg_px": "12.3" if qty else None,
            "reserved_value": pick(("0", "25")),
            "cash_effect": str(-qty * Decimal("12.3") - (1 if qty else 0)),
            "quantity_before": str(held),
            "quantity": str(after),
            "avg_cost": "12.3",
            "realized_pnl": "0",
            "fills": [fill] if qty else [],
            "blocks": [{"code": pick(CODES), "detail": "why"}] if self.random.random() < 0.2 else [],
            "unblocks": [{"code": pick(CODES)}] if self.random.random() < 0.2 else [],
        }
        return "record_event", {"broker": "sim", "event": json.dumps(event)}

    def _kill(self) -> tuple[str, dict[str, Any]]:
        scope, key = self.random.choice(
            (("global", "*"), ("account", "paper"), ("symbol", "AAPL"), ("strategy", "mean"), ("global", "what"))
        )
        return "set_kill_switch", {
            "scope": scope, "key": key, "engaged": True, "reason": "a test", "actor": "ann", "at": self.at,
        }  # fmt: skip

    def _decide(self) -> tuple[str, dict[str, Any]]:
        status = self.random.choice(("accepted", "worked", "quarantined"))
        reason = ("EXPIRED", "late") if status == "quarantined" else (None, None)
        return "decide_batch", {
            "batch_id": self.random.choice(BATCHES), "status": status, "reason_code": reason[0], "detail": reason[1],
            "at": self.at,
        }  # fmt: skip

    def _release_batch(self) -> tuple[str, dict[str, Any]]:
        return "release_batch", {
            "batch_id": self.random.choice(BATCHES), "reason": "looked at", "actor": "ann", "at": self.at,
        }  # fmt: skip

    def _block(self) -> tuple[str, dict[str, Any]]:
        fields = {"symbol": self.random.choice(SYMBOLS), "reason_code": self.random.choice(CODES), "detail": "why"}
        return "block_symbol", {**fields, "at": self.at}

    def _unblock(self) -> tuple[str, dict[str, Any]]:
        fields = {"symbol": self.random.choice(SYMBOLS), "reason_code": self.random.choice(CODES), "actor": "ann"}
        return "unblock_symbol", {**fields, "at": self.at}

    def _reconciliation(self) -> tuple[str, dict[str, Any]]:
        found = self.random.choice(([], [{"kind": "cash", "key": "paper", "symbol": "*", "ours": "1", "theirs": "2"}]))
        return "record_reconciliation", {
            "breaks": json.dumps(found), "orders_checked": 3, "fills_checked": 2, "at": self.at,
        }  # fmt: skip

    def _adjustment(self) -> tuple[str, dict[str, Any]]:
        symbol = self.random.choice(("", "AAPL"))
        position = self.tables.positions.get(("paper", symbol))
        held = position["quantity"] if position else Decimal(0)
        change = 5 if symbol else 0
        entry = {
            "adjustment_id": f"a{self.random.randint(1, 6)}",
            "kind": self.random.choice(("fee", "transfer", "split")),
            "symbol": symbol,
            "qty_change": str(change),
            "cash_change": self.random.choice(("0", "-1.25", "250")),
            "text": "",
            "event_at": self.at.isoformat(),
            "quantity_before": str(held),
            "quantity": str(held + change),
            "avg_cost": "10",
            "realized_pnl": "0",
        }
        return "record_adjustment", {"broker": "sim", "adjustment": json.dumps(entry)}

    def _parent_end(self) -> tuple[str, dict[str, Any]]:
        return "end_parent", {"parent_id": self.random.choice(PARENTS), "text": "its time is over", "at": self.at}

    def _equity(self) -> tuple[str, dict[str, Any]]:
        return "record_equity", {"equity": Decimal(self.random.randint(900_000, 1_100_000)), "at": self.at}

    def _beat(self) -> tuple[str, dict[str, Any]]:
        return "beat", {"component": "execution_daemon", "state": "ready", "detail": "{}", "market_time": self.at}

    def _read(self) -> tuple[str, dict[str, Any]]:
        since = self.random.choice((None, AT, self.at - timedelta(hours=1)))
        special: dict[str, dict[str, Any]] = {
            "events": {"client_order_ids": self.random.sample(ORDERS, 3)},
            "one_order": {"client_order_id": self.random.choice(ORDERS)},
            "is_order_killed": {"client_order_id": self.random.choice(ORDERS)},
            "targets": {"batch_ids": list(BATCHES[:2])},
            "fills_since": {"broker": "sim", "since": since},
            "adjustments_since": {"broker": "sim", "since": since},
            "session_from": {"now": self.at},
            "risk_restricted": {"session": SESSION},
            "risk_facts": {"session": SESSION, "symbols": list(SYMBOLS)},
            "risk_day": {"session": SESSION, "now": self.at},
            "risk_recent": {"now": self.at, "since": self.at - timedelta(hours=1)},
            "volume_profiles": {"symbols": list(SYMBOLS), "session": SESSION, "slices": 4},
        }
        name = self.random.choice((*READS, *special, "is_order_killed", "is_order_killed", "is_order_killed"))
        return name, special.get(name, {})
