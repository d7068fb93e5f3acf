"""A small, consistent world: bars to fills with every link between, over three traded sessions. Prices are generated.

Market data, features, model, predictions, signals and batches are inserted as the pipeline would; orders, events,
fills, positions, cash, decisions and the audit chain come about through the daemon's own SQL functions:

    day 1   buy 1,000 AAPL, filled; buy 500 IBM, 300 filled and the rest expired; buy MSFT denied by MAX_ORDER_VALUE
    day 2   sell 200 AAPL, filled
    day 3   buy 100 MSFT, filled
"""

from __future__ import annotations

import json
import math
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bifrost_core.calendar import Session, sessions_between, shift
from bifrost_core.provenance import canonical_json, content_hash, sha256
from bifrost_core.settings import Settings
from bifrost_core.trading.costs import DEFAULT_COSTS
from bifrost_core.trading.positions import Fill, Holdings
from bifrost_core.trading.targets import Target, hash_of
from bifrost_core.trading.terms import Side
from bifrost_core.warehouse.connect import Role, connect

FIRST, LAST = date(2013, 1, 2), date(2013, 3, 1)
SYMBOLS = {"AAPL": 440.0, "IBM": 200.0, "MSFT": 27.5, "SPX": 1500.0}
WEIGHTS = {"AAPL": Decimal("0.3"), "IBM": Decimal("0.1"), "MSFT": Decimal("0.05")}
RULES, MODEL = "momentum", "ridge"
MODEL_NAME, MODEL_VERSION = "return_model", "1"
RUN, CODE, DATA = "run-0001", "abc1234", "data-0001"
MADE = {"data_version": DATA, "code_version": CODE, "dagster_run_id": RUN}
BROKER, HOLDER = "paper_exchange", "world"
ZERO = Decimal(0)
Closes = Mapping[tuple[str, date], float]


@dataclass(frozen=True)
class World:
    """What was built: the sessions with bars, those traded, the batch and the order ids by (day, symbol)."""

    settings: Settings
    sessions: tuple[Session, ...]
    traded: tuple[date, ...]
    batches: tuple[uuid.UUID, ...]
    orders: Mapping[tuple[int, str], str]


def build(settings: Settings) -> World:
    """Fill the empty, migrated database of `settings`."""
    sessions = sessions_between(settings.exchange, FIRST, LAST)
    with connect(settings, Role.PIPELINE) as connection:
        closes = _market_data(connection, settings, sessions)
        _research(connection, settings, sessions, closes)
        batches = tuple(_batch(connection, settings, sessions[-4 + day], closes) for day in range(3))
        _quality(connection, sessions)
    with connect(settings, Role.TRADER, autocommit=True) as connection:
        orders = _Desk(connection, settings, sessions[-3:], batches, closes).trade()
    return World(settings, sessions, tuple(s.session for s in sessions[-3:]), batches, orders)


def _insert(connection: psycopg.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    for names, values in ((list(row), list(row.values())) for row in rows):
        places = ", ".join(["%s"] * len(names))
        connection.execute(f"insert into {table} ({', '.join(names)}) values ({places})", values)  # type: ignore[arg-type]


def _close(symbol: str, day: int) -> float:
    wave = 1 + 0.02 * math.sin(day / 3 + len(symbol)) + 0.001 * day
    return round(SYMBOLS[symbol] * wave, 2)


def _market_data(connection: psycopg.Connection, settings: Settings, sessions: Sequence[Session]) -> Closes:
    _calendar(connection, settings, sessions)
    closes: dict[tuple[str, date], float] = {}
    for number, symbol in enumerate(SYMBOLS, 1):
        mine = [(s, _close(symbol, day)) for day, s in enumerate(sessions)]
        _instrument(connection, settings, number, symbol)
        _bars(connection, settings, number, mine, _payload(connection, symbol, mine))
        closes |= {(symbol, s.session): close for s, close in mine}
    return closes


def _calendar(connection: psycopg.Connection, settings: Settings, sessions: Sequence[Session]) -> None:
    first, last = sessions[0].session - timedelta(days=10), shift(settings.exchange, LAST, 5).session
    rows = (
        {
            "exchange_mic": settings.exchange,
            "session": s.session,
            "open_at": s.open_at,
            "close_at": s.close_at,
            "is_half_day": s.is_half_day,
        }
        for s in sessions_between(settings.exchange, first, last)
    )
    _insert(connection, "reference.sessions", rows)


def _instrument(connection: psycopg.Connection, settings: Settings, number: int, symbol: str) -> None:
    row = {
        "instrument_id": number,
        "symbol": symbol,
        "name": f"{symbol} (generated prices)",
        "asset_class": "index" if symbol == settings.benchmark else "equity",
        "exchange_mic": settings.exchange,
        "currency": "USD",
    }
    _insert(connection, "reference.instruments", [row])


def _payload(connection: psycopg.Connection, symbol: str, bars: Sequence[tuple[Session, float]]) -> str:
    body = "".join(f"{s.session},{close}\n" for s, close in bars).encode()
    row = {
        "sha256": sha256(body),
        "provider": "generated",
        "subject": symbol,
        "content_type": "text/csv",
        "size_bytes": len(body),
        "body_zlib": zlib.compress(body),
    }
    _insert(connection, "raw.payloads", [row])
    return sha256(body)


def _bars(
    connection: psycopg.Connection, settings: Settings, number: int, bars: Sequence[tuple[Session, float]], payload: str
) -> None:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    stored_at = bars[-1][0].close_at + timedelta(hours=1)
    rows = (
        {
            "instrument_id": number,
            "session": s.session,
            "ingested_at": stored_at,
            "available_at": s.close_at + lag,
            "open": round(close * 0.998, 2),
            "high": round(close * 1.01, 2),
            "low": round(close * 0.99, 2),
            "close": close,
            "volume": 1_000_000 + 1_000 * day,
            "provider": "generated",
            "payload_sha256": payload,
        }
        for day, (s, close) in enumerate(bars)
    )
    _insert(connection, "raw.daily_bars", rows)


def _ids(settings: Settings) -> dict[str, int]:
    return {symbol: number for number, symbol in enumerate(SYMBOLS, 1) if symbol != settings.benchmark}


def _research(connection: psycopg.Connection, settings: Settings, sessions: Sequence[Session], closes: Closes) -> None:
    _model(connection)
    lag = timedelta(minutes=settings.availability_lag_minutes)
    model = {"model_name": MODEL_NAME, "model_version": MODEL_VERSION}
    for before, s in pairwise(sessions):
        for symbol, number in _ids(settings).items():
            change = closes[symbol, s.session] / closes[symbol, before.session] - 1
            key = {"instrument_id": number, "session": s.session, **MADE}
            _insert(connection, "features.daily", [{**key, "return_1d": change, "available_at": s.close_at + lag}])
            _insert(connection, "ml.predictions", [{**key, **model, "prediction": change / 10}])
            _insert(connection, "signals.signals", [{**key, "strategy": RULES, "weight": 0.2}])
            _insert(connection, "signals.signals", [{**key, **model, "strategy": MODEL, "weight": 0.1 + change}])
    for strategy, tilt in ((RULES, 1.1), (MODEL, 0.95)):
        _backtest(connection, strategy, sessions, [closes[settings.benchmark, s.session] for s in sessions], tilt)


def _model(connection: psycopg.Connection) -> None:
    row = {
        "model_name": MODEL_NAME,
        "model_version": MODEL_VERSION,
        "mlflow_run_id": "mlflow-0001",
        "trained_from": date(2010, 1, 4),
        "trained_to": date(2012, 12, 20),
        "usable_from": date(2013, 1, 2),
        "purge_sessions": 5,
        "embargo_sessions": 5,
        "train_rows": 2240,
        "metrics": Jsonb({"r2": 0.012, "rank_ic": 0.031}),
    }
    _insert(connection, "ml.model_versions", [{**row, **MADE}])


def _backtest(
    connection: psycopg.Connection, strategy: str, sessions: Sequence[Session], index: Sequence[float], tilt: float
) -> None:
    """An equity curve that moves `tilt` times as much as the index."""
    cash = 1_000_000.0
    held = [cash * level / index[0] for level in index]
    equity = [cash + (h - cash) * tilt for h in held]
    worst = min(value / max(equity[: i + 1]) - 1 for i, value in enumerate(equity))
    metrics = {"total_return": equity[-1] / cash - 1, "sharpe": 0.54, "max_drawdown": worst, "trades": 2.0}
    row = {
        "backtest_id": content_hash([strategy, DATA, CODE])[:16],
        "strategy": strategy,
        "first_session": sessions[0].session,
        "last_session": sessions[-1].session,
        "initial_cash": cash,
        "parameters": Jsonb({}),
        "metrics": Jsonb(metrics),
    }
    _insert(connection, "research.backtests", [{**row, **MADE}])
    curve = (
        {"backtest_id": row["backtest_id"], "session": s.session, "equity": e, "benchmark": h}
        for s, e, h in zip(sessions, equity, held, strict=True)
    )
    _insert(connection, "research.backtest_equity", curve)


def _batch(connection: psycopg.Connection, settings: Settings, as_of: Session, closes: Closes) -> uuid.UUID:
    following = shift(settings.exchange, as_of.session, 1)
    window = (following.open_at - timedelta(minutes=60), following.close_at)
    targets = tuple(
        Target(symbol, weight, Decimal(str(closes[symbol, as_of.session])), {RULES: "0.1", MODEL: "0.05"})
        for symbol, weight in WEIGHTS.items()
    )
    digest = hash_of(settings.account, (RULES, MODEL), as_of.session, *window, targets)
    row = {
        "batch_id": uuid.uuid5(uuid.NAMESPACE_OID, digest),
        "account": settings.account,
        "strategies": [RULES, MODEL],
        "as_of_session": as_of.session,
        "valid_from": window[0],
        "valid_until": window[1],
        "row_count": len(targets),
        "content_hash": digest,
    }
    _insert(connection, "signals.target_batches", [{**row, **MADE}])
    for t in targets:
        values = {"symbol": t.symbol, "target_weight": t.target_weight, "reference_price": t.reference_price}
        parts = Jsonb(dict(t.contributions))
        _insert(connection, "signals.targets", [{"batch_id": row["batch_id"], **values, "contributions": parts}])
    return uuid.uuid5(uuid.NAMESPACE_OID, digest)


def _quality(connection: psycopg.Connection, sessions: Sequence[Session]) -> None:
    """One failed expectation, two that passed, and the row that failed."""
    window = {"window_start": sessions[0].session, "window_end": sessions[-1].session, "dagster_run_id": RUN}
    check = {"asset_key": "raw/daily_bars", "suite": "bars", "observed": Jsonb({"unexpected_count": 0}), **window}
    for expectation in ("high is at least low", "sessions complete", "prices above zero"):
        row = {**check, "expectation": expectation, "passed": expectation != "prices above zero"}
        _insert(connection, "quarantine.check_results", [row])
    bad = {"symbol": "IBM", "close": -1}
    held = {
        "source": "raw.daily_bars",
        "subject": "IBM",
        "session": sessions[-1].session,
        "reason": "a price is not positive",
        "row": Jsonb(bad),
        "row_sha256": sha256(canonical_json(bad)),
        "dagster_run_id": RUN,
    }
    _insert(connection, "quarantine.rows", [held])


@dataclass
class _Desk:
    """Trades the three days through the daemon's SQL functions."""

    connection: psycopg.Connection
    settings: Settings
    days: Sequence[Session]
    batches: Sequence[uuid.UUID]
    closes: Closes
    epoch: int = 0
    holdings: Holdings = field(default_factory=Holdings)
    orders: dict[tuple[int, str], str] = field(default_factory=dict)

    def trade(self) -> dict[tuple[int, str], str]:
        self.holdings = Holdings(self.settings.initial_cash)
        self.epoch = self._call("acquire_lease_v1", self.settings.account, HOLDER, 3600.0)
        start = self.days[0].open_at - timedelta(hours=1)
        self._leading("open_account_v1", BROKER, self.settings.initial_cash, start)
        self._day(0, (("AAPL", "buy", 1000, 1000), ("IBM", "buy", 500, 300)), denied=("MSFT", "buy", 40_000))
        self._day(1, (("AAPL", "sell", 200, 200),))
        self._day(2, (("MSFT", "buy", 100, 100),))
        self._call("beat_v1", "daemon", HOLDER, "ready", Jsonb({"epoch": self.epoch}), self.days[-1].close_at)
        return self.orders

    def _day(
        self, day: int, orders: Sequence[tuple[str, str, int, int]], denied: tuple[str, str, int] | None = None
    ) -> None:
        s, batch = self.days[day], self.batches[day]
        before_open, after_close = s.open_at - timedelta(minutes=30), s.close_at + timedelta(minutes=1)
        self._leading("decide_batch_v1", batch, "accepted", None, None, before_open)
        intents = [self._intent(day, symbol, side, qty) for symbol, side, qty, _ in orders]
        if denied:
            refused = self._intent(day, *denied)
            value = refused["order_qty"] * Decimal(refused["reference_price"])
            intents.append(
                {
                    **refused,
                    "outcome": "denied",
                    "reason_code": "MAX_ORDER_VALUE",
                    "limit_value": 500_000,
                    "actual_value": value,
                }
            )
        limit = Decimal(2_000_000)
        self._leading("submit_intents_v1", before_open, limit, Jsonb(intents, dumps=_dumps))
        self._leading("decide_batch_v1", batch, "worked", None, None, before_open)
        for intent, (symbol, _, qty, filled) in zip(intents, orders, strict=False):
            self.orders[day, symbol] = str(intent["client_order_id"])
            self._event(intent, "new", "new", before_open + timedelta(seconds=1), ZERO)
            self._fill(intent, s, Decimal(filled), whole=filled == qty)
            if filled < qty:
                self._event(intent, "expired", "expired", s.close_at, Decimal(filled))
        self._leading("record_reconciliation_v1", Jsonb([]), len(intents), len(orders), after_close)

    def _price(self, symbol: str, s: Session) -> Decimal:
        return Decimal(str(round(self.closes[symbol, s.session] * 0.998, 2)))

    def _intent(self, day: int, symbol: str, side: str, qty: int) -> dict[str, Any]:
        key = content_hash([self.settings.account, str(self.batches[day]), symbol, side])[:48]
        price = self._price(symbol, self.days[day])
        opens = side == "buy"
        return {
            "client_order_id": key,
            "batch_id": str(self.batches[day]),
            "strategies": [RULES, MODEL],
            "symbol": symbol,
            "side": side,
            "order_type": "market",
            "time_in_force": "opg",
            "order_qty": qty,
            "reference_price": price,
            "leg": "open" if opens else "close",
            "reserved_value": qty * price if opens else 0,
            "outcome": "accepted",
            "reason_code": "ACCEPTED",
            "detail": {},
        }

    def _fill(self, intent: Mapping[str, Any], s: Session, qty: Decimal, *, whole: bool) -> None:
        symbol, price = intent["symbol"], self._price(intent["symbol"], s)
        fill = Fill(symbol, Side(intent["side"]), qty, price, DEFAULT_COSTS.commission(qty, price))
        before, self.holdings = self.holdings, self.holdings.after(fill)
        position = self.holdings.positions[symbol]
        executed = {
            "exec_id": f"exec-{intent['client_order_id'][:10]}",
            "last_qty": qty,
            "last_px": price,
            "commission": fill.commission,
            "cash_effect": fill.cash_effect,
            "reserved_value": ZERO if whole else (intent["order_qty"] - qty) * price,
            "quantity_before": before.quantity(symbol),
            "quantity": position.quantity,
            "avg_cost": position.avg_cost,
            "realized_pnl": position.realized_pnl,
        }
        kind, status = ("fill", "filled") if whole else ("partial_fill", "partially_filled")
        self._event(intent, kind, status, s.open_at, qty, **executed)

    def _event(
        self, intent: Mapping[str, Any], kind: str, status: str, at: datetime, cum_qty: Decimal, **more: Any
    ) -> None:
        event = {
            "client_order_id": intent["client_order_id"],
            "broker_order_id": f"b-{intent['client_order_id'][:12]}",
            "kind": kind,
            "ord_status": status,
            "event_at": at.isoformat(),
            "cum_qty": cum_qty,
            "avg_px": intent["reference_price"] if cum_qty else None,
            "reserved_value": intent["reserved_value"] if status == "new" else 0,
            "last_qty": 0,
            "commission": 0,
            "cash_effect": 0,
            "blocks": [],
            "unblocks": [],
        }
        self._leading("record_event_v1", BROKER, self.settings.exchange, Jsonb({**event, **more}, dumps=_dumps))

    def _leading(self, function: str, *arguments: Any) -> Any:
        return self._call(function, self.settings.account, HOLDER, self.epoch, *arguments)

    def _call(self, function: str, *arguments: Any) -> Any:
        places = ", ".join(["%s"] * len(arguments))
        row = self.connection.execute(f"select * from trading.{function}({places})", arguments).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)
