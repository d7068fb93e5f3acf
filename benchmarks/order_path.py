"""From target to durable intent to broker, and how fast a kill switch stops it.

Durable intents are measured against bare durable commits on the same connection and disk, in turn. The rebalance and
the kill are measured with the real daemon, by the server's commit times and the proxy's account of what was sent.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

import psycopg

from benchmarks.chaos.proxy import Passed
from benchmarks.chaos.shop import Shop
from benchmarks.daemon import big_shop
from benchmarks.result import Result
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.shell.statements import SQL

INTENTS = 3_000
BATCH = 500
REBALANCES = 5
KILLS = 5
SENT_BEFORE_KILL = 60
INSERT = "insert into bench.commits values (%s, %s)"
AT = datetime(2013, 2, 20, 14, 0, tzinfo=UTC)
LIMIT = Decimal(10**9)


def run() -> list[Result]:
    """The database's part alone, then the daemon's whole path."""
    with big_shop() as shop:
        bare, intents, batch = durable(shop.settings)
    with big_shop() as shop:
        shop.start()
        rebalances = [rebalance(shop) for _ in range(REBALANCES)]
        kills = [kill(shop) for _ in range(KILLS)]
    ours = [beyond for beyond, _ in rebalances]
    return [
        Result("durable intent, p50", p50(intents), "ms", "bare durable commit, p50", p50(bare), 3.0),
        Result("durable intent, p99", p99(intents), "ms", "bare durable commit, p99", p99(bare), 3.0),
        Result("500 intents in one commit", batch * 1000, "ms", target=60),
        Result("500-order rebalance durable, beyond the broker, median of 5", median(ours), "ms", target=60),
        Result("500-order rebalance durable, beyond the broker, worst of 5", max(ours), "ms"),
        Result(
            "500-order rebalance durable, with the broker, median of 5", median(all_ for _, all_ in rebalances), "ms"
        ),
        Result("last new send after a kill's commit, worst of 5", max(kills), "ms", target=10),
    ]


def p50(seconds: Sequence[float]) -> float:
    """The median in milliseconds."""
    return median(seconds) * 1000


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile in milliseconds."""
    return quantiles(seconds, n=100)[98] * 1000


# ------------------------------------------------------------------------------------------- the database's part alone


def durable(settings: Settings) -> tuple[list[float], list[float], float]:
    """Seconds of bare committed inserts and of intents, taken in turn; seconds of one batch of 500."""
    with connect(settings, Role.OWNER) as owner:
        owner.execute("create schema bench")
        owner.execute("create table bench.commits (id bigint primary key, payload text)")
        owner.execute("grant usage on schema bench to bifrost_trader")
        owner.execute("grant insert on bench.commits to bifrost_trader")
    with connect(settings, Role.TRADER) as connection:
        connection.autocommit = True
        lead = lease(connection, settings)
        bare, intents = [], []
        for n in range(INTENTS):
            bare.append(timed(lambda n=n: connection.execute(INSERT, (n, "x" * 200))))  # type: ignore[misc]
            intents.append(timed(lambda n=n: submit(connection, lead, [intent(n)])))  # type: ignore[misc]
        batch = timed(lambda: submit(connection, lead, [intent(INTENTS + n) for n in range(BATCH)]))
    return bare, intents, batch


def lease(connection: psycopg.Connection, settings: Settings) -> dict[str, Any]:
    """Lead the account as a daemon does, and open it."""
    who = {"account": settings.account, "holder": "benchmark"}
    row = connection.execute(SQL["acquire_lease"], {**who, "seconds": 600.0}).fetchone()
    assert row is not None and row[0] is not None, "another daemon leads"
    lead = {**who, "epoch": row[0]}
    connection.execute(SQL["open_account"], {**lead, "broker": "bench", "initial_cash": LIMIT, "at": AT})
    return lead


def submit(connection: psycopg.Connection, lead: dict[str, Any], intents: list[dict[str, Any]]) -> None:
    """Commit the intents in one call, as the daemon's store does."""
    given = {**lead, "at": AT, "reserve_limit": LIMIT, "intents": json.dumps(intents)}
    rows = connection.execute(SQL["submit_intents"], given).fetchall()
    assert all(row[1] == "accepted" for row in rows), rows[:1]


def intent(number: int) -> dict[str, Any]:
    """A small accepted order."""
    return {
        "client_order_id": f"bench-{number}",
        "batch_id": str(uuid.UUID(int=1)),
        "strategies": ["momentum"],
        "symbol": "AAPL",
        "side": "buy",
        "order_type": "market",
        "time_in_force": "opg",
        "order_qty": "10",
        "reference_price": "12.5",
        "leg": "open",
        "reserved_value": "125",
        "valid_until": AT.isoformat(),
        "post_only": False,
        "reduce_only": False,
        "outcome": "accepted",
        "reason_code": "ACCEPTED",
        "limit_value": None,
        "actual_value": None,
        "detail": {},
    }


def timed(work: Callable[[], Any]) -> float:
    """Seconds that `work` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# ---------------------------------------------------------------------------------------------- the daemon's whole path

BATCH_AND_INTENTS = """
select extract(epoch from pg_xact_commit_timestamp(b.xmin)), extract(epoch from max(pg_xact_commit_timestamp(e.xmin)))
from signals.target_batches b join trading.orders o using (batch_id) join trading.order_events e using (client_order_id)
where b.batch_id = %s and e.kind = 'intent' group by b.xmin
"""
RECONCILED = "select exists (select from trading.reconciliations where event_at >= %s)"


def rebalance(shop: Shop) -> tuple[float, float]:
    """Milliseconds from the batch's commit to the last intent's: less the time waited for the broker, and in all.

    The last close is reconciled before, as it is in the night that lies between.
    """
    closes = [s.close_at for s in shop.server.market.sessions if s.close_at < shop.session.open_at]
    shop.until(lambda: not closes or shop.read(RECONCILED, closes[-1]) == [(True,)], "the close to be reconciled")
    batch = shop.post()
    shop.close_session()
    written, durable_at = map(float, shop.read(BATCH_AND_INTENTS, batch)[0])
    waited = overlap((p for p in shop.proxy.passed if p.what.startswith("GET")), written, durable_at)
    return (durable_at - written - waited) * 1000, (durable_at - written) * 1000


def overlap(requests: Iterable[Passed], begin: float, end: float) -> float:
    """Seconds of [begin, end] in which at least one request was under way."""
    total, reached = 0.0, begin
    for request in sorted(requests, key=lambda p: p.began):
        from_, until = max(request.began, reached), min(request.ended, end)
        if until > from_:
            total, reached = total + until - from_, until
    return total


KILLED_AT = """
select extract(epoch from pg_xact_commit_timestamp(xmin)) from audit.chain
where kind = 'kill_switch' and (payload->>'engaged')::boolean order by seq desc limit 1
"""


def kill(shop: Shop) -> float:
    """Milliseconds from a kill's commit, in a batch of 500, to the last order that left; 0 if none did."""
    before = len(shop.proxy.sent)
    shop.post()
    shop.until(lambda: len(shop.proxy.sent) >= before + SENT_BEFORE_KILL, "the batch to go out")
    shop.kill_switch(engaged=True)
    shop.wait(1.0)
    killed_at = float(shop.read(KILLED_AT)[0][0])
    last = max(sent.at for sent in shop.proxy.sent)
    assert len(shop.proxy.sent) < before + BATCH, "the batch was out before the kill"
    shop.kill_switch(engaged=False)
    shop.close_session()
    return max(last - killed_at, 0.0) * 1000
