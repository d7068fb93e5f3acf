"""From a target back to the bytes of its bars: signals, prediction, model, features, payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from bifrost_core.lineage import statements as sql
from bifrost_core.lineage.link import Link, missing, number

if TYPE_CHECKING:
    import psycopg

Row = dict[str, Any]


class Research:
    """Reads the links behind a target through one connection; each method builds a link from its row."""

    def __init__(self, connection: psycopg.Connection, benchmark: str) -> None:
        self.connection = connection
        self.benchmark = benchmark

    def all(self, statement: str, params: Row) -> list[Row]:
        """The rows of a statement."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, params).fetchall()

    def one(self, statement: str, params: Row) -> Row | None:
        """The first row of a statement, or None."""
        rows = self.all(statement, params)
        return rows[0] if rows else None

    def target(self, row: Row) -> Link:
        name = f"{row['symbol']} of batch {row['batch_id']}"
        signals = [self.signal(signal) for signal in self.all(sql.SIGNALS, row)]
        if row["target_weight"] is None:
            return _computed("target", name, row, [], signals, "the batch has no target for the symbol")
        weight, price = number(row["target_weight"]), number(row["reference_price"])
        facts = [("weight", weight), ("at", price), ("as of", str(row["as_of_session"]))]
        behind = signals or [self.vintages({**row, "session": row["as_of_session"]}, row["symbol"])]
        return _computed("target", name, row, facts, behind)

    def signal(self, row: Row) -> Link:
        name = f"{row['strategy']} {row['session']}"
        if row["weight"] is None:
            return missing("signal", name, "signals.signals has no such signal")
        sources = [self.prediction(row)] if row["model_name"] else [self.features(row)]
        return _computed("signal", name, row, [("weight", f"{row['weight']:+.4f}")], sources, warning=_later(row, row))

    def prediction(self, signal: Row) -> Link:
        row = self.one(sql.PREDICTION, signal)
        name = f"{signal['model_name']} {signal['session']}"
        if row is None:
            problem = f"ml.predictions has none by version {signal['model_version']}"
            return missing("prediction", name, problem, self.features(signal))
        sources = [self.model(row), self.features({**signal, **row})]
        value = [("value", f"{row['prediction']:+.6f}")]
        return _computed("prediction", name, row, value, sources, warning=_later(row, signal))

    def model(self, prediction: Row) -> Link:
        row = self.one(sql.MODEL, prediction)
        name = f"{prediction['model_name']} version {prediction['model_version']}"
        if row is None:
            return missing("model", name, "ml.model_versions has no such version")
        facts = [("mlflow run", row["mlflow_run_id"]), ("trained on", f"{row['trained_from']} .. {row['trained_to']}")]
        problem = None if row["usable_from"] <= prediction["session"] else f"usable only from {row['usable_from']}"
        return _computed("model", name, row, facts, [], problem)

    def features(self, signal: Row) -> Link:
        row = self.one(sql.FEATURES, signal)
        name = f"{signal['symbol']} {signal['session']}"
        own = self.vintages(signal, signal["symbol"])
        sources = [own] if self.benchmark == signal["symbol"] else [own, self.vintages(signal, self.benchmark)]
        if row is None:
            return missing("features", name, "features.daily has no such row", *sources)
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
            return missing("vintages", symbol, "raw.daily_bars has no bar behind it")
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
