"""`explain`: follow one fill or order back to the bytes its prices came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from bifrost_core.errors import BifrostError
from bifrost_core.lineage import statements as sql
from bifrost_core.lineage.link import Link

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse

Row = dict[str, Any]
FILL_PREFIX = "fill:"


def explain(warehouse: Warehouse, identifier: str) -> Link:
    """The trace of a client order id, of `fill:<fill id>` or of a broker's execution id.

    Raises BifrostError where nothing has that id. A denied order, which was never one, starts at its decision.
    """
    with warehouse.transaction() as connection:
        trace = _Trace(connection, warehouse.settings.benchmark)
        if fill := trace.one(sql.FILL, {"fill_id": _fill_id(identifier), "exec_id": identifier}):
            return trace.fill(fill)
        if order := trace.one(sql.ORDER, {"client_order_id": identifier}):
            return trace.order(order)
        if decision := trace.one(sql.DECISION, {"client_order_id": identifier}):
            return trace.decision(decision, decision["symbol"])
    raise BifrostError(
        f"no order, fill or decision has the id {identifier!r}",
        "Take a client order id from trading.orders or fill:<fill_id> from trading.fills, or see the Provenance page",
    )


def _fill_id(identifier: str) -> int | None:
    number = identifier.removeprefix(FILL_PREFIX)
    return int(number) if identifier.startswith(FILL_PREFIX) and number.isascii() and number.isdigit() else None


class _Trace:
    """Reads the links of one trace through one connection; each method builds a link from its row."""

    def __init__(self, connection: psycopg.Connection, benchmark: str) -> None:
        self.connection = connection
        self.benchmark = benchmark

    def all(self, statement: str, params: Row) -> list[Row]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, params).fetchall()

    def one(self, statement: str, params: Row) -> Row | None:
        rows = self.all(statement, params)
        return rows[0] if rows else None

    def fill(self, row: Row) -> Link:
        order = self.one(sql.ORDER, row)
        source = (
            self.order(order)
            if order
            else _missing("order", row["client_order_id"], "trading.orders has no such order")
        )
        executed = f"{row['side']} {_number(row['last_qty'])} {row['symbol']} at {_number(row['last_px'])}"
        facts = (("", executed), ("commission", _number(row["commission"])), ("session", str(row["session"])))
        return Link("fill", f"{FILL_PREFIX}{row['fill_id']} ({row['exec_id']})", _labelled(facts), sources=(source,))

    def order(self, row: Row) -> Link:
        decision = self.one(sql.DECISION, row)
        problem = "no risk decision accepted it" if decision is None or decision["outcome"] != "accepted" else None
        source = (
            self.decision(decision, row["symbol"])
            if decision
            else _missing(
                "decision", row["client_order_id"], "trading.risk_decisions has no decision", self.target(row)
            )
        )
        asked = f"{row['side']} {_number(row['order_qty'])} {row['symbol']}, {row['order_type']} {row['time_in_force']}"
        filled = f"{row['ord_status']}, {_number(row['cum_qty'])} filled"
        facts = (("", asked), ("", filled), ("created", f"{row['created_at']:%Y-%m-%d %H:%M} UTC"))
        return Link("order", row["client_order_id"], _labelled(facts), problem=problem, sources=(source,))

    def decision(self, row: Row, symbol: str) -> Link:
        limit = [("limit", _number(row["limit_value"])), ("actual", _number(row["actual_value"]))]
        facts = [("", f"{row['outcome']}, {row['reason_code']}"), *(limit if row["limit_value"] is not None else [])]
        target = self.target({**row, "symbol": symbol})
        return Link("decision", str(row["decision_id"]), _labelled(facts), sources=(target,))

    def target(self, order: Row) -> Link:
        row = self.one(sql.TARGET, order)
        name = f"{order['symbol']} of batch {order['batch_id']}"
        if row is None:
            return _missing("target", name, "signals.target_batches has no such batch")
        signals = [self.signal(signal) for signal in self.all(sql.SIGNALS, row)]
        if row["target_weight"] is None:
            return _computed("target", name, row, [], signals, "the batch has no target for the symbol")
        weight, price = _number(row["target_weight"]), _number(row["reference_price"])
        facts = [("weight", weight), ("at", price), ("as of", str(row["as_of_session"]))]
        behind = signals or [self.vintages({**row, "session": row["as_of_session"]}, row["symbol"])]
        return _computed("target", name, row, facts, behind)

    def signal(self, row: Row) -> Link:
        name = f"{row['strategy']} {row['session']}"
        if row["weight"] is None:
            return _missing("signal", name, "signals.signals has no such signal")
        sources = [self.prediction(row)] if row["model_name"] else [self.features(row)]
        return _computed("signal", name, row, [("weight", f"{row['weight']:+.4f}")], sources, warning=_later(row, row))

    def prediction(self, signal: Row) -> Link:
        row = self.one(sql.PREDICTION, signal)
        name = f"{signal['model_name']} {signal['session']}"
        if row is None:
            problem = f"ml.predictions has none by version {signal['model_version']}"
            return _missing("prediction", name, problem, self.features(signal))
        sources = [self.model(row), self.features({**signal, **row})]
        value = [("value", f"{row['prediction']:+.6f}")]
        return _computed("prediction", name, row, value, sources, warning=_later(row, signal))

    def model(self, prediction: Row) -> Link:
        row = self.one(sql.MODEL, prediction)
        name = f"{prediction['model_name']} version {prediction['model_version']}"
        if row is None:
            return _missing("model", name, "ml.model_versions has no such version")
        facts = [("mlflow run", row["mlflow_run_id"]), ("trained on", f"{row['trained_from']} .. {row['trained_to']}")]
        problem = None if row["usable_from"] <= prediction["session"] else f"usable only from {row['usable_from']}"
        return _computed("model", name, row, facts, [], problem)

    def features(self, signal: Row) -> Link:
        row = self.one(sql.FEATURES, signal)
        name = f"{signal['symbol']} {signal['session']}"
        own = self.vintages(signal, signal["symbol"])
        sources = [own] if self.benchmark == signal["symbol"] else [own, self.vintages(signal, self.benchmark)]
        if row is None:
            return _missing("features", name, "features.daily has no such row", *sources)
        version = [("data version", row["data_version"])]
        return _computed("features", name, row, version, sources, warning=_later(row, signal))

    def vintages(self, signal: Row, symbol: str) -> Link:
        """The bars behind a row of features, as they were stored when its batch was made: one child per payload."""
        window = {
            "symbol": symbol,
            "instrument_id": signal["instrument_id"] if symbol == signal["symbol"] else None,
            "session": signal["session"],
            "stored_at": signal["stored_at"],
            "days": sql.LOOKBACK_DAYS,
        }
        payloads = tuple(self.payload(row) for row in self.all(sql.VINTAGES, window))
        if not payloads:
            return _missing("vintages", symbol, "raw.daily_bars has no bar behind it")
        bars = sum(int(dict(p.facts)["bars"]) for p in payloads)
        return Link("vintages", symbol, (("bars", str(bars)),), sources=payloads)

    def payload(self, row: Row) -> Link:
        facts = (("bars", str(row["bars"])), ("sessions", f"{row['first_session']} .. {row['last_session']}"),
                 ("from", row["provider"]), ("stored", f"{row['ingested_at']:%Y-%m-%d %H:%M:%S} UTC"))  # fmt: skip
        problem = None if row["is_stored"] else "raw.payloads has no such bytes"
        return Link("payload", f"sha256:{row['payload_sha256']}", facts, problem=problem)


def _computed(
    kind: str,
    name: str,
    row: Row,
    facts: list[tuple[str, str]],
    sources: list[Link],
    problem: str | None = None,
    warning: str | None = None,
) -> Link:
    """A link that a Dagster run made."""
    run, code = row["dagster_run_id"], row["code_version"]
    problem = problem or (None if run and code else "run or code version is not recorded")
    return Link(kind, name, tuple(facts), run, code, problem, warning, tuple(sources))


def _later(row: Row, signal: Row) -> str | None:
    """A warning where `row` was computed after the batch that the signal went into."""
    if row["computed_at"] <= signal["stored_at"]:
        return None
    return f"computed again after the batch was made, on {row['computed_at']:%Y-%m-%d %H:%M} UTC"


def _missing(kind: str, name: str, problem: str, *sources: Link) -> Link:
    return Link(kind, name, problem=problem, sources=sources)


def _labelled(facts: Any) -> tuple[tuple[str, str], ...]:
    return tuple((label, str(value)) for label, value in facts)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value.normalize():,f}"
