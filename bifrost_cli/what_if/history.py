"""What was decided since a day, and everything that moved the book meanwhile: one read a kind.

Order is that of the server's clock, at which things were stored: the market's may have stood still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg.rows import dict_row

from bifrost_core.settings import Settings
from bifrost_core.trading.risk import Proposal, RiskCode, SessionHours, SymbolFacts
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from bifrost_core.warehouse.connect import Role, connect
from execution_daemon.shell.statements import SQL

DECISIONS = """
    select d.client_order_id, d.symbol, d.side, d.order_qty, d.reference_price, d.reason_code, d.decided_at,
           d.recorded_at, b.as_of_session, coalesce(b.valid_from, d.decided_at) as valid_from,
           coalesce(o.valid_until, b.valid_until, d.decided_at + interval '1 day') as valid_until,
           coalesce(o.strategies, b.strategies, '{}') as strategies, o.order_type, o.limit_price, o.stop_price,
           o.trail_offset, o.limit_offset, coalesce(o.reduce_only, false) as reduce_only,
           o.after_id is not null as waits, coalesce(o.parent_id, '') as parent_id,
           p.parent_id is not null as is_parent, case when o.is_oco then o.group_id else '' end as oco_group
    from trading.risk_decisions d
    left join trading.orders o using (client_order_id)
    left join trading.parent_orders p on p.parent_id = d.client_order_id
    left join signals.target_batches b on b.batch_id = d.batch_id
    where d.account = %(account)s and d.decided_at >= %(since)s and d.reason_code <> 'DUPLICATE_ORDER'
    order by d.decision_id
"""
MOVES = """
    select e.recorded_at, e.event_seq as seq, 'open' as kind, o.client_order_id, o.symbol, o.side, o.order_qty as qty,
           o.reference_price as price, o.reserved_value > 0 or o.leg = 'open' as opens, 0::numeric as cash
    from trading.order_events e join trading.orders o using (client_order_id)
    where e.account = %(account)s and e.kind = 'intent'
    union all
    select e.recorded_at, e.event_seq, 'fill', f.client_order_id, f.symbol, f.side, f.last_qty, f.last_px, false,
           case f.side when 'buy' then -1 else 1 end * f.last_qty * f.last_px - f.commission
    from trading.fills f join trading.order_events e using (event_seq)
    where f.account = %(account)s
    union all
    select e.recorded_at, e.event_seq, 'end', e.client_order_id, '', 'buy', 0, 0, false, 0
    from trading.order_events e
    where e.account = %(account)s and e.ord_status in ('filled', 'canceled', 'rejected', 'expired')
    union all
    select a.recorded_at, 0, 'adjust', '', coalesce(a.symbol, ''), 'buy', a.qty_change, 0, false, a.cash_change
    from trading.adjustments a where a.account = %(account)s
    order by recorded_at, seq, kind desc
"""
SESSIONS = """
    select session, open_at, close_at from reference.sessions
    where exchange_mic = %(mic)s and session >= %(since)s order by session
"""
MARKS = (
    "select session, high_equity, last_equity from trading.equity_marks where account = %(account)s order by session"
)


@dataclass(frozen=True, slots=True)
class Decided:
    """An order that was decided on, and how."""

    proposal: Proposal
    outcome: RiskCode
    decided_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """What moved the book: an order opened, an execution, an order's end, an adjustment (qty signed)."""

    recorded_at: datetime
    kind: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    opens: bool
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Mark:
    """Equity of a trading day, less transfers."""

    session: date
    high_equity: Decimal
    last_equity: Decimal


@dataclass(frozen=True, slots=True)
class History:
    """Decisions and moves in order; sessions by date; what was known of each symbol before each session."""

    initial_cash: Decimal
    decisions: tuple[Decided, ...]
    moves: tuple[Move, ...]
    sessions: tuple[SessionHours, ...]
    marks: tuple[Mark, ...]
    facts: Mapping[date, Mapping[str, SymbolFacts]]

    def session_of(self, at: datetime) -> SessionHours | None:
        """The session that was on at market time `at`, or came next."""
        return next((s for s in self.sessions if s.close_at > at), None)


def read_history(settings: Settings, account: str, since: date) -> History:
    """Everything that `account` decided from `since` on."""
    params = {"account": account, "since": since, "mic": settings.exchange}
    with connect(settings, Role.API) as connection, connection.cursor(row_factory=dict_row) as cursor:

        def rows(statement: str | bytes, **more: Any) -> list[dict[str, Any]]:
            text = statement.encode() if isinstance(statement, str) else statement
            return cursor.execute(text, {**params, **more}).fetchall()

        account_row = rows("select initial_cash from trading.accounts where account = %(account)s")
        sessions = tuple(SessionHours(**row) for row in rows(SESSIONS))
        decisions = tuple(_decided(row, account) for row in rows(DECISIONS))
        marks = tuple(Mark(**row) for row in rows(MARKS))
        moves = tuple(_move(row) for row in rows(MOVES))
        cash = account_row[0]["initial_cash"] if account_row else Decimal(0)
        bare = History(cash, decisions, moves, sessions, marks, {})
        symbols = sorted({d.proposal.symbol for d in decisions} | {m.symbol for m in moves if m.symbol})
        days = {s.session for d in decisions if (s := bare.session_of(d.decided_at))}
        facts = {day: _facts(rows(SQL["risk_facts"], session=day, symbols=symbols)) for day in sorted(days)}
    return History(cash, decisions, moves, sessions, marks, facts)


def _facts(rows: list[dict[str, Any]]) -> dict[str, SymbolFacts]:
    return {r["symbol"]: SymbolFacts(r["previous_close"], r["period_mean"], r["adv"], r["sector"]) for r in rows}


def _move(row: Mapping[str, Any]) -> Move:
    return Move(**{**{k: v for k, v in row.items() if k != "seq"}, "side": Side(row["side"])})


def _decided(row: Mapping[str, Any], account: str) -> Decided:
    terms = Terms(
        OrdType(row["order_type"] or OrdType.MARKET), TimeInForce.DAY, row["limit_price"], row["stop_price"],
        row["trail_offset"], row["limit_offset"], False, row["reduce_only"],
    )  # fmt: skip
    side, qty = Side(row["side"]), row["order_qty"]
    proposal = Proposal(
        client_order_id=row["client_order_id"],
        account=account,
        strategies=tuple(row["strategies"]),
        symbol=row["symbol"],
        side=side,
        qty=qty,
        reference_price=row["reference_price"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        terms=terms,
        parent_id=row["parent_id"],
        as_of=row["as_of_session"],
        awaited=-qty * side.sign if row["waits"] else Decimal(0),
        is_parent=row["is_parent"],
        group=row["oco_group"],
    )
    return Decided(proposal, RiskCode(row["reason_code"]), row["decided_at"], row["recorded_at"])
