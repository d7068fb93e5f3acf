"""Traces of fills, whole and broken, over tests/world.py."""

from __future__ import annotations

import pytest

from bifrost_assets.features.daily import LOOKBACK_SESSIONS
from bifrost_core import lineage
from bifrost_core.calendar import all_sessions
from bifrost_core.errors import BifrostError
from bifrost_core.lineage.statements import LOOKBACK_DAYS
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse
from tests import world

KINDS = ["fill", "order", "decision", "target", "signal", "features", "vintages", "payload"]
BREAKS = {
    "target": "delete from signals.targets where symbol = 'AAPL'",
    "signal": "delete from signals.signals where strategy = 'momentum'",
    "prediction": "delete from ml.predictions",
    "model": "update ml.model_versions set usable_from = '2013-12-31'",
    "features": "delete from features.daily",
    "payload": "delete from raw.payloads where subject = 'AAPL'",
}


@pytest.fixture
def shop(settings: Settings) -> world.World:
    return world.build(settings)


def test_a_fill_leads_back_to_the_bytes_of_its_bars(shop: world.World, reader: Warehouse) -> None:
    """The promise of the project: without it no fill can be explained."""
    trace = lineage.explain(reader, "fill:1")
    assert not trace.broken
    assert set(KINDS) | {"prediction", "model"} == {link.kind for link in trace.walk()}
    signals = {link.name.split()[0]: link for link in trace.walk() if link.kind == "signal"}
    assert [link.kind for link in signals[world.MODEL].walk()][1:3] == ["prediction", "model"]
    assert [link.kind for link in signals[world.RULES].walk()][1] == "features"
    payloads = {link.name for link in trace.walk() if link.kind == "payload"}
    with reader.transaction() as connection:
        stored = connection.execute("select sha256 from raw.payloads where subject in ('AAPL', 'SPX')").fetchall()
    assert payloads == {f"sha256:{row[0]}" for row in stored}
    made = [link for link in trace.walk() if link.kind in {"target", "signal", "prediction", "model", "features"}]
    assert all(link.dagster_run_id == world.RUN and link.code_version == world.CODE for link in made)


def test_only_bars_known_to_the_batch_are_named(shop: world.World, reader: Warehouse, owner: Warehouse) -> None:
    """A vintage stored after the batch explains nothing about it; showing it would be a lie about what was known."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.daily_bars select instrument_id, session, now() + interval '1 day', available_at, open,"
            " high, low, close, volume, vendor_adj_close, provider, 'later' from raw.daily_bars where instrument_id = 1"
        )
    assert not lineage.explain(reader, "fill:1").broken
    assert lineage.unresolved(reader) == []


def test_every_way_to_name_a_fill_gives_its_trace(shop: world.World, reader: Warehouse) -> None:
    """An operator has whichever id the screen in front of them shows."""
    order_id = shop.orders[0, "AAPL"]
    by_order = lineage.explain(reader, order_id)
    assert by_order.kind == "order"
    assert lineage.explain(reader, f"exec-{order_id[:10]}") == lineage.explain(reader, "fill:1")
    assert lineage.explain(reader, "fill:1").sources == (by_order,)


def test_a_denied_order_is_explained_from_its_decision(shop: world.World, reader: Warehouse) -> None:
    """Why something was not traded is asked as often as why it was."""
    with reader.transaction() as connection:
        row = connection.execute(
            "select client_order_id from trading.risk_decisions where outcome = 'denied'"
        ).fetchone()
    assert row is not None
    trace = lineage.explain(reader, row[0])
    assert (trace.kind, trace.broken) == ("decision", ())
    assert "MAX_ORDER_VALUE" in str(trace)
    assert "limit 500,000" in str(trace)


@pytest.mark.parametrize("identifier", ["fill:999", "fill:x", "fill:²", "nonsense", ""])
def test_an_unknown_id_is_one_line_with_a_remedy(shop: world.World, reader: Warehouse, identifier: str) -> None:
    """A typo must not end in a traceback."""
    with pytest.raises(BifrostError, match=r"no order, fill or decision has the id .*trading\.orders"):
        lineage.explain(reader, identifier)


def test_nothing_is_unresolved_in_a_whole_world(shop: world.World, reader: Warehouse) -> None:
    """The system test relies on the empty list."""
    assert lineage.unresolved(reader) == []


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_link_is_found_in_the_trace_and_set_wise(
    shop: world.World, reader: Warehouse, owner: Warehouse, kind: str
) -> None:
    """A check that finds no break proves nothing; both ways must name the same link."""
    with owner.transaction() as connection:
        connection.execute(BREAKS[kind])  # type: ignore[arg-type]
    trace = lineage.explain(reader, "fill:1")
    assert kind in {link.kind for link in trace.broken}
    assert "BROKEN" in str(trace)
    assert kind in {link.kind for link in lineage.unresolved(reader) if link.fill_id == 1}


@pytest.mark.parametrize("table", ["signals.signals", "ml.predictions", "features.daily", "signals.target_batches"])
def test_a_row_without_its_run_is_a_broken_link(
    shop: world.World, reader: Warehouse, owner: Warehouse, table: str
) -> None:
    """A row nobody can trace to a run is as unexplained as one that is missing."""
    with owner.transaction() as connection:
        connection.execute(f"update {table} set dagster_run_id = ''")
    assert lineage.explain(reader, "fill:1").broken
    assert lineage.unresolved(reader)


@pytest.mark.parametrize("table", ["signals.signals", "ml.predictions", "features.daily"])
def test_what_was_computed_again_after_the_batch_is_said_so(
    shop: world.World, reader: Warehouse, owner: Warehouse, table: str
) -> None:
    """The value shown would be taken for the one that was traded on."""
    assert "WARNING" not in str(lineage.explain(reader, "fill:1"))
    with owner.transaction() as connection:
        connection.execute(f"update {table} set computed_at = now() + interval '1 minute'")
    trace = lineage.explain(reader, "fill:1")
    assert not trace.broken
    warned = {link.kind for link in trace.walk() if link.warning}
    assert warned == {{"signals": "signal", "ml": "prediction", "features": "features"}[table.split(".")[0]]}
    assert "computed again after the batch was made" in str(trace)
    assert "with a warning" in str(trace)


def test_a_fill_is_traced_under_the_symbol_of_its_day(shop: world.World, reader: Warehouse, owner: Warehouse) -> None:
    """Every fill before a change of name would be broken after it, or explained by another company's bars."""
    with owner.transaction() as connection:
        connection.execute("update reference.symbols set valid_to = current_date where symbol = 'AAPL'")
        connection.execute("update reference.instruments set symbol = 'APPL' where symbol = 'AAPL'")
        connection.execute("insert into reference.symbols values ('APPL', 'XNYS', 1, current_date, null)")
        connection.execute(
            "insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)"
            " values (99, 'AAPL', 'Another company', 'equity', 'XNYS', 'USD')"
        )
    assert not lineage.explain(reader, "fill:1").broken
    assert lineage.unresolved(reader) == []


def test_the_lookback_covers_every_session_a_feature_reads(settings: Settings) -> None:
    """A shorter one would leave payloads out of the trace that the features were computed from."""
    sessions = [s.session for s in all_sessions(settings.exchange)]
    spans = [(last - first).days for first, last in zip(sessions, sessions[LOOKBACK_SESSIONS - 1 :], strict=False)]
    assert max(spans) < LOOKBACK_DAYS
