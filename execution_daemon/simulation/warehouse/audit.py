"""The audit chain: every entry's hash covers the one before it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from execution_daemon.simulation.warehouse.tables import Tables

GENESIS = hashlib.sha256(b"bifrost").digest()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_hash(previous: bytes, seq: int, kind: str, payload: dict[str, Any], at: datetime) -> bytes:
    """sha256(previous hash || seq|kind|microseconds since 1970|payload)."""
    micros = (at - EPOCH) // (datetime.resolution)
    text = json.dumps(payload, sort_keys=True, default=str)
    return hashlib.sha256(previous + f"{seq}|{kind}|{micros}|{text}".encode()).digest()


def append(tables: Tables, kind: str, payload: dict[str, Any], at: datetime) -> int:
    """Add one entry; returns its sequence number."""
    seq = len(tables.chain) + 1
    previous = tables.chain[-1]["entry_hash"] if seq > 1 else GENESIS
    found = entry_hash(previous, seq, kind, payload, at)
    entry = {"seq": seq, "kind": kind, "payload": payload, "prev_hash": previous, "entry_hash": found, "event_at": at}
    tables.chain.append(entry)
    return seq


def verify(tables: Tables) -> int | None:
    """The first entry that does not follow from the one before it, or None."""
    previous = GENESIS
    for number, entry in enumerate(tables.chain, 1):
        expected = entry_hash(previous, number, entry["kind"], entry["payload"], entry["event_at"])
        if entry["seq"] != number or entry["prev_hash"] != previous or entry["entry_hash"] != expected:
            return number
        previous = entry["entry_hash"]
    return None
