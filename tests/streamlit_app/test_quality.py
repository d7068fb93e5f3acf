"""A person's decision, from the page to the database: in Streamlit's test runner, and in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl
import pytest
from playwright.sync_api import expect
from psycopg import Connection

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.browser import chromium, look, settle, streamlit_server
from tests.streamlit_app.conftest import fresh_database
from tests.streamlit_app.test_pages import draw, words

DAY = date(2013, 2, 14)
BARS = [(DAY, 20000.0, 20100.0, 19900.0, 20050.0, 4e6, None), (DAY, 20000.0, 20100.0, 19900.0, 20060.0, 4e6, None)]


@pytest.fixture(scope="module")
def held(server: Settings, _maintenance: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A shop with five sessions of bars and two bars of IBM held; each test decides on one of them."""
    settings = fresh_database(server, _maintenance, "ui_quality", tmp_path_factory.mktemp("quality"))
    warehouse = Warehouse(settings, Role.PIPELINE)
    provider = provider_of(settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    load_bars(warehouse, provider, date(2013, 2, 11), date(2013, 2, 15), "run")
    rows = pl.DataFrame(BARS, schema=BAR_SCHEMA, orient="row").with_columns(reason=pl.lit("another currency unit"))
    with warehouse.transaction() as connection:
        evidence.quarantine(connection, [evidence.Held("IBM", rows, "sample", "0" * 64)], "run")
    yield settings


def decisions(settings: Settings) -> list[tuple[object, ...]]:
    with connect(settings, Role.READER) as connection:
        return connection.execute("select decision, actor, because from quarantine.decisions order by 1").fetchall()


@pytest.mark.usefixtures("_the_apps_settings")
def test_a_reason_is_asked_for_and_the_decision_is_made(monkeypatch: pytest.MonkeyPatch, held: Settings) -> None:
    """A click without a reason must not store a bar; one with a reason must."""
    page = draw(monkeypatch, held, "quality")
    assert not page.exception
    figures = {metric.label: metric.value for metric in page.metric}
    assert (figures["Held"], figures["Dropped"]) == ("2", "0")
    press(page, "Drop")
    assert "the decision lacks a reason" in page.error[0].value
    assert decisions(held) == []
    page.text_input(key="actor").set_value("ann")
    page.text_input(key="because").set_value("pence")
    press(page, "Drop")
    assert "is dropped" in words(page)
    assert decisions(held) == [("dropped", "ann", "pence")]


def press(page, label: str) -> None:  # type: ignore[no-untyped-def]
    next(button for button in page.button if button.label == label).click().run()


def test_a_bar_is_seen_beside_its_neighbours_and_released_in_a_browser(held: Settings) -> None:
    """What a person does on a morning after, with a mouse."""
    with streamlit_server(held) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1800})
        seen = look(page, f"{address}/quality")
        assert seen.errors == ()
        assert "another currency unit" in seen.text
        assert page.locator('[data-testid="stVegaLiteChart"]').count() == 1
        page.get_by_label("Who decides").fill("ann")
        page.get_by_label("Because").fill("checked with the exchange")
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_text("is released")).to_be_visible(timeout=30_000)
        settle(page)
    assert ("released", "ann", "checked with the exchange") in decisions(held)
    with connect(held, Role.READER) as connection:
        stored = connection.execute(
            "select close from raw.daily_bars_as_of() where session = %s and close > 20000", (DAY,)
        ).fetchall()
    assert len(stored) == 1
