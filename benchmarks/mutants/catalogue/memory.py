"""Defects of the SQL's semantics, in the warehouse in memory."""

from __future__ import annotations

from benchmarks.mutants.mutant import AGREEMENT, MEMORY, Mutant

MUTANTS = (
    Mutant(
        "kill_not_read_in_intent",
        f"{MEMORY}/intents.py",
        '    if is_killed(tx, given["account"], intent["symbol"], intent["strategies"] or []):\n',
        "    if False:\n",
        "a kill that commits while the desk decides does not stop the intent",
    ),
    Mutant(
        "duplicate_intent_accepted",
        f"{MEMORY}/intents.py",
        '    elif tx.tables.orders.insert(intent["client_order_id"], _order(tx, given, intent)):\n',
        '    elif tx.tables.orders.put(intent["client_order_id"], _order(tx, given, intent)) is None:\n',
        "the same order is intended, and counted, twice",
        tests=AGREEMENT,
    ),
    Mutant(
        "audit_entry_missing",
        f"{MEMORY}/events.py",
        '    audit.append(tx.tables, "order_event", payload, at)\n',
        "",
        "an event leaves no trace in the chain",
    ),
    Mutant(
        "position_update_missing",
        f"{MEMORY}/events.py",
        '        move_position(tx, given["account"], order["symbol"], event, at)\n',
        "        pass\n",
        "a fill does not move the position",
    ),
    Mutant(
        "fill_replay_recorded",
        f"{MEMORY}/events.py",
        '    if any((given["broker"], fill["exec_id"]) in tx.tables.fill_ids for fill in fills):\n'
        "        return None\n",
        "",
        "an execution that is stored already stops the daemon",
        tests=AGREEMENT,
    ),
)
