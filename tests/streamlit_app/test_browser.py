"""Each page in headless Chromium, served as `bifrost dashboard` serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from bifrost_core.settings import Settings
from tests import world
from tests.browser import chromium, streamlit_server, visit

PAGES = {
    "": (
        "Equity against the index",
        "Kill switch",
        "Market time",
        "Targets of the newest batch",
        "$999,478.50",
        "Tables and columns",
    ),
    "research": ("Backtests", "Signals of 2013-03-01", "Model versions", "buy and hold"),
    "risk": ("Limits in force", "Whole: ", "Risk decisions", "Reconciliations", "order_audit_trail.html", "as written"),
    "quality": ("Data quality", "Look at", "Who decides", "Suites", "Thresholds"),
    "operations": ("No daemon answers", "Freshness of assets", "Asset checks", "Quarantine", "Last Dagster runs"),
    "provenance": ("Every link resolves", "decision", "payload", "sha256:"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def full_address(full_shop: world.World) -> Iterator[str]:
    with streamlit_server(full_shop.settings) as address:
        yield address


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_drawn_whole(browser: Browser, full_address: str, page: str) -> None:
    """What AppTest cannot see: a chart, table or script that fails in the browser."""
    seen = visit(browser, f"{full_address}/{page}")
    assert not seen.errors
    for words in PAGES[page]:
        assert words in seen.text


def test_no_warehouse_is_one_box_with_a_remedy(browser: Browser, empty_shop: Settings) -> None:
    """The most likely first mistake, the server not started, must not look like a broken program."""
    gone = empty_shop.model_copy(update={"database": "ui_no_such_database"})
    with streamlit_server(gone) as address:
        seen = visit(browser, address)
    assert len(seen.error_boxes) == 1
    assert "has no database ui_no_such_database" in seen.text
    assert "bifrost db migrate" in seen.text
    assert "Traceback" not in seen.text
