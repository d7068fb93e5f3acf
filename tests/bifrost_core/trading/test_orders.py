"""The order state machine: every cell, and every sequence."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bifrost_core.trading.orders import (
    TABLE,
    Block,
    BlockCode,
    ExecType,
    Order,
    OrderEvent,
    OrdStatus,
    Query,
    Send,
    Ticket,
    Unblock,
    fold,
    handle,
)
from bifrost_core.trading.terms import MARKET_DAY, Side

AT = datetime(2013, 2, 20, 14, 30, tzinfo=UTC)
TICKET = Ticket("id", "paper", uuid.UUID(int=1), "AAPL", Side.BUY, Decimal(100), Decimal("50"), MARKET_DAY, AT)
S, K = OrdStatus, ExecType

# Every transition, written out a second time by hand: '.' is impossible.
LETTERS = dict(zip("ANPFXCREUDSH", OrdStatus, strict=True))
COLUMNS = """new rejected partial_fill fill pending_cancel canceled cancel_rejected expired done_for_day suspended
             trade_correct trade_cancel no_answer absent released"""
EXPECTED = """
pending_new      N R P F A C A E D S P N U . .
unknown          N R P F U C U E D S P N U A .
new              N R P F X C N E D S P N N . .
partially_filled P . P F X C P E D S P P P . .
done_for_day     N R P F X C D E D S D D D . .
suspended        N R P F X C S E D S S S S . .
pending_cancel   X R X F X C N E X X X X X . .
filled           F . F F F . F . F F F F F F F
canceled         C . C F C C C C C C C C C C C
expired          E . E F E E E E E E E E E E E
rejected         R R R F R . R . R R R R R R R
held             . . P F H C H E H H . . H H A
"""


def expected() -> dict[tuple[OrdStatus, ExecType], OrdStatus | None]:
    header, rows = COLUMNS.split(), [line.split() for line in EXPECTED.strip().splitlines()]
    return {
        (S(row[0]), K(kind)): None if cell == "." else LETTERS[cell]
        for row in rows
        for kind, cell in zip(header, row[1:], strict=True)
    }


def event(kind: ExecType, qty: int = 0, exec_id: str = "", price: str = "50") -> OrderEvent:
    return OrderEvent(kind, AT, exec_id=exec_id, last_qty=Decimal(qty), last_px=Decimal(price) if qty else Decimal(0))


@pytest.mark.parametrize(("status", "kind"), list(product(OrdStatus, ExecType)))
def test_every_cell(status, kind):
    """A changed cell loses an order or trades a dead one."""
    assert TABLE.get((status, kind)) == expected()[status, kind]


@pytest.mark.parametrize("status", list(OrdStatus))
@pytest.mark.parametrize("kind", [K.PARTIAL_FILL, K.FILL])
def test_no_status_refuses_a_fill(status, kind):
    """A fill that is refused is a position nobody knows of."""
    assert (status, kind) in TABLE


@pytest.mark.parametrize("status", [s for s in OrdStatus if s.is_terminal])
def test_terminal_orders_end_terminal(status):
    """A dead order that comes back to life would be sent or counted as working."""
    assert all(after.is_terminal for (before, _), after in TABLE.items() if before is status)


def test_impossible_reports_block_and_change_nothing():
    """A report that makes no sense must stop the symbol, not the daemon, and not be believed."""
    order = Order(TICKET, S.REJECTED)
    after, effects = handle(order, event(K.CANCELED))
    assert after is order
    assert [e.code for e in effects] == [BlockCode.IMPOSSIBLE_TRANSITION]


def test_silence_is_unknown_and_is_asked_about():
    """Silence read as a refusal sends twice."""
    order, effects = handle(Order(TICKET), event(K.NO_ANSWER))
    assert order.status is S.UNKNOWN
    assert [type(e) for e in effects] == [Block, Query]
    assert effects[0].code is BlockCode.SEND_UNPROVEN


def test_only_proven_absence_sends_again_under_the_same_id():
    """Any other answer to the question must not send."""
    unknown = Order(TICKET, S.UNKNOWN)
    order, effects = handle(unknown, event(K.ABSENT))
    assert order.status is S.PENDING_NEW
    assert effects == (Unblock("AAPL", BlockCode.SEND_UNPROVEN), Send("id"))
    for kind in set(ExecType) - {K.ABSENT}:
        _after, effects = handle(unknown, event(kind))
        assert not any(isinstance(e, Send) for e in effects), kind


def test_a_late_timeout_does_not_take_back_an_acknowledgement():
    """The stream is often faster than the answer."""
    order = fold(Order(TICKET), [event(K.NEW), event(K.NO_ANSWER)])
    assert order.status is S.NEW


def test_replayed_executions_count_once():
    """Streams repeat themselves after every reconnect."""
    fill = event(K.PARTIAL_FILL, 40, "x1")
    order = fold(Order(TICKET), [fill, fill, event(K.PARTIAL_FILL, 60, "x2"), fill])
    assert (order.status, order.cum_qty) == (S.FILLED, Decimal(100))


def test_a_fill_after_cancel_counts_and_blocks():
    """The broker's word about executions is final; that it is late is a reason to look."""
    order, effects = handle(Order(TICKET, S.CANCELED), event(K.FILL, 40, "x1"))
    assert (order.status, order.cum_qty) == (S.CANCELED, Decimal(40))
    assert [e.code for e in effects] == [BlockCode.FILL_AFTER_TERMINAL]


def test_an_overfill_counts_and_blocks():
    """More than was asked for is still ours."""
    order, effects = handle(Order(TICKET), event(K.FILL, 130, "x1"))
    assert (order.status, order.cum_qty, order.leaves_qty) == (S.FILLED, Decimal(130), Decimal(0))
    assert [e.code for e in effects] == [BlockCode.OVERFILL]


@pytest.mark.parametrize(("filled", "after"), [(0, S.NEW), (40, S.PARTIALLY_FILLED)])
def test_a_refused_cancel_restores_by_what_was_filled(filled, after):
    """The status before the cancel is not remembered: fills may have come since."""
    fills = [event(K.PARTIAL_FILL, filled, "x1")] if filled else []
    order = fold(Order(TICKET), [event(K.NEW), event(K.PENDING_CANCEL), *fills, event(K.CANCEL_REJECTED)])
    assert order.status is after


def test_average_price_and_reservation_follow_fills():
    """Explain and the reservation both read these."""
    order = fold(Order(TICKET), [event(K.PARTIAL_FILL, 30, "x1", "10"), event(K.PARTIAL_FILL, 10, "x2", "20")])
    assert order.avg_px == Decimal("12.5")
    assert order.reserved_value == 60 * TICKET.reference_price


class AnySequence(RuleBasedStateMachine):
    """Whatever is said, in whatever order, however often: quantities are those of the distinct executions."""

    def __init__(self) -> None:
        super().__init__()
        self.order = Order(TICKET)
        self.executions: dict[str, Decimal] = {}
        self.effects: Counter[str] = Counter()

    def _say(self, said: OrderEvent) -> None:
        before = self.order
        self.order, effects = handle(before, said)
        codes = {e.code for e in effects if isinstance(e, Block)}
        self.effects.update(codes)
        if BlockCode.IMPOSSIBLE_TRANSITION in codes:
            assert not said.last_qty
            assert self.order is before

    @rule(kind=st.sampled_from([k for k in ExecType if k not in {K.PARTIAL_FILL, K.FILL}]))
    def report(self, kind: ExecType) -> None:
        self._say(event(kind))

    @rule(number=st.integers(1, 12), qty=st.integers(1, 60))
    def execute(self, number: int, qty: int) -> None:
        exec_id = f"x{number}"
        first = self.executions.setdefault(exec_id, Decimal(qty))
        self._say(event(K.PARTIAL_FILL, int(first), exec_id))

    @invariant()
    def quantity_is_the_sum_of_distinct_executions(self) -> None:
        assert self.order.cum_qty == sum(self.executions.values())
        assert set(self.order.executions) == set(self.executions)

    @invariant()
    def status_agrees_with_quantity(self) -> None:
        full = self.order.cum_qty >= TICKET.order_qty
        assert full is (self.order.status is S.FILLED)
        assert self.order.status is not S.NEW or self.order.cum_qty == 0

    @invariant()
    def overfill_is_never_silent(self) -> None:
        assert self.order.cum_qty <= TICKET.order_qty or self.effects[BlockCode.OVERFILL]


TestAnySequence = AnySequence.TestCase
