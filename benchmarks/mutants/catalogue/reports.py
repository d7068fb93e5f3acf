"""Defects of what the broker says."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, TRADING, Mutant

MUTANTS = (
    Mutant(
        "fills_not_deduplicated",
        f"{TRADING}/orders.py",
        "    return bool(event.exec_id) and (event.exec_id in order.executions or event.exec_id in order.gone)\n",
        "    return False\n",
        "a repeated report counts twice, or stops the daemon",
    ),
    Mutant(
        "fill_after_terminal_ignored",
        f"{TRADING}/orders.py",
        "    if is_replay(order, event):\n        return order, ()\n    kind = kind_of(order, event)\n",
        "    if is_replay(order, event) or (order.status.is_terminal and event.last_qty):\n"
        "        return order, ()\n    kind = kind_of(order, event)\n",
        "what was executed and reported late is forgotten",
    ),
    Mutant(
        "commission_forgotten",
        f"{TRADING}/positions.py",
        "return -self.signed_qty * self.price - self.commission",
        "return -self.signed_qty * self.price",
        "cash differs by every commission",
    ),
    Mutant(
        "partial_is_full",
        f"{TRADING}/orders.py",
        "    return ExecType.FILL if order.cum_qty + event.last_qty >= order.order_qty else ExecType.PARTIAL_FILL\n",
        "    return ExecType.FILL\n",
        "an order with a partial fill is called done, and works on",
    ),
    Mutant(
        "bust_ignored",
        f"{TRADING}/orders.py",
        "        standing = {key: one for key, one in order.executions.items() if key != event.exec_ref_id}\n",
        "        standing = dict(order.executions)\n",
        "an execution that was taken back still counts",
    ),
    Mutant(
        "correction_adds",
        f"{CORE}/book.py",
        '        found.append(Booked(f"{event.exec_ref_id}:taken-back", back, event.exec_ref_id))\n',
        "        pass\n",
        "a correction is added to what it corrects",
    ),
    Mutant(
        "sale_is_purchase",
        f"{TRADING}/positions.py",
        "        return self.qty * self.side.sign\n",
        "        return self.qty\n",
        "sales add to the position",
    ),
    Mutant(
        "expiry_is_new",
        f"{CORE}/reports.py",
        "    BrokerStatus.EXPIRED: ExecType.EXPIRED,\n",
        "    BrokerStatus.EXPIRED: ExecType.NEW,\n",
        "an order that expired unheard is called working",
    ),
    Mutant(
        "new_is_done",
        f"{CORE}/reports.py",
        "    BrokerStatus.NEW: ExecType.NEW,\n",
        "    BrokerStatus.NEW: ExecType.EXPIRED,\n",
        "an order that works at the broker is called ended",
    ),
)
