"""The deterministic core alone: microseconds from an event or a proposal to what is to be done about it.

Beside it stand figures that nautilus_trader publishes of its own micro-benchmarks (CodSpeed, run
6867e7e8829d96f8d8956250 of branch nightly, https://codspeed.io/nautechsystems/nautilus_trader): taken on their machine,
under instrumentation, of steps that are like ours and not the same, so there is no target for the ratio.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median

from benchmarks.result import Result
from bifrost_core.trading.limits import DEFAULT_LIMITS, Limits
from bifrost_core.trading.orders import ExecType, OrderEvent
from bifrost_core.trading.planner import PlanKey, plan
from bifrost_core.trading.positions import Holdings
from bifrost_core.trading.risk import DayState, Quote, SessionHours, SymbolFacts, Tradable, decide
from bifrost_core.trading.targets import Target, TargetBatch, hash_of
from execution_daemon.core.book import Book, Committed, Reported, handle
from execution_daemon.core.desk import work
from execution_daemon.core.inputs import Controls, Market, context
from execution_daemon.core.intents import proposal_of

SYMBOLS = 500
EVENTS = 2_000
ROUNDS = 7
OPEN = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
NOW = OPEN - timedelta(minutes=30)
PRICE, EQUITY = Decimal(50), Decimal(10_000_000)
NAMES = tuple(f"GEN{n:04d}" for n in range(SYMBOLS))
SUBMIT_US, EXECUTE_US = 399.2, 179.8  # test_submit_order, test_execute_command of the published run


def run() -> list[Result]:
    """A book of 500 working orders, made by the core itself from a batch of 500 targets."""
    batch, market, controls, empty = targets(), a_market(), a_desk(), Book("paper", Holdings(EQUITY))
    decided = work(empty, batch, market, controls)
    refused = [intent.denied for intent in decided.intents if intent.denied]
    assert not refused, refused[0]
    tickets = tuple(intent.ticket for intent in decided.intents)
    book, _ = handle(empty, Committed(tickets))
    known = context(empty, market, controls, dict.fromkeys(NAMES, PRICE))
    assert decide(proposal_of(decided.intents[0].ask), known) is None, "every control is to be asked"
    proposal = proposal_of(decided.intents[0].ask)
    published = "nautilus_trader, published"
    return [
        Result("core, a fill to its effects (500 orders)", micros(filling(book)), "us"),
        Result(
            "core, an order through every risk control",
            micros(lambda: [decide(proposal, known) for _ in range(EVENTS)], EVENTS),
            "us",
            f"{published} test_execute_command",
            EXECUTE_US,
        ),
        Result(
            "core, a target to a decided order (500 targets)",
            micros(lambda: work(empty, batch, market, controls).intents, SYMBOLS),
            "us",
            f"{published} test_submit_order",
            SUBMIT_US,
        ),
        Result("core, plan of 500 targets", micros(planning(batch)), "us"),
    ]


def micros(round_: Callable[[], object], steps: int = 1) -> float:
    """Median microseconds of one step, over rounds of `steps`."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        round_()
        times.append((time.perf_counter() - began) / steps)
    return median(times) * 1e6


def filling(book: Book) -> Callable[[], object]:
    """One partial fill of one of the book's orders."""
    key = next(iter(book.orders))
    fill = OrderEvent(ExecType.PARTIAL_FILL, OPEN, exec_id="x", last_qty=Decimal(1), last_px=PRICE)
    return lambda: handle(book, Reported(key, fill))


def planning(batch: TargetBatch) -> Callable[[], object]:
    """The planner on its own."""
    key = PlanKey("paper", batch.batch_id)
    return lambda: plan(key, batch.targets, {}, EQUITY)


def targets() -> TargetBatch:
    """A sound batch of equal weights."""
    share = Decimal("0.0018")
    rows = tuple(Target(name, share, PRICE, {"m": str(share)}) for name in NAMES)
    window = ("paper", ("m",), date(2013, 2, 19), NOW, OPEN + timedelta(hours=6))
    return TargetBatch(uuid.UUID(int=1), *window, rows, hash_of(*window, rows), SYMBOLS, "run", "code", "data")


def a_market() -> Market:
    """Every symbol can be traded, and its last trade is yesterday's close."""
    session = SessionHours(date(2013, 2, 20), OPEN, OPEN + timedelta(hours=6, minutes=30))
    quotes = {name: Quote(PRICE, NOW - timedelta(hours=17)) for name in NAMES}
    return Market(NOW, session, quotes, dict.fromkeys(NAMES, Tradable()))


def a_desk() -> Controls:
    """The default limits, a day that has just begun, a book found in order a moment ago."""
    facts = {name: SymbolFacts(PRICE, PRICE, Decimal(1_000_000), f"sector {n % 11}") for n, name in enumerate(NAMES)}
    day = DayState(EQUITY, EQUITY, EQUITY)
    return Controls(Limits(DEFAULT_LIMITS), facts=facts, day=day, reconciled_at=NOW)
