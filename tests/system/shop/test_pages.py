"""Every page of the app over a book that was really traded, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, streamlit_server, visit
from tests.system.shop.conftest import Shop

pytestmark = [pytest.mark.system, pytest.mark.timeout(2000)]

PAGES = {
    "": ("Equity", "Positions", "Last fills"),
    "research": ("Backtests", "Model versions"),
    "risk": ("Risk", "Audit"),
    "quality": ("Quarantine", "Decisions", "Suites", "Thresholds"),
    "operations": ("Freshness of assets", "Asset checks", "Kill switch"),
    "provenance": ("Provenance",),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(shop: Shop) -> Iterator[str]:
    with streamlit_server(shop.settings) as found:
        yield found


@pytest.mark.parametrize("page", PAGES)
def test_page_renders_without_an_error(page: str, address: str, browser: Browser) -> None:
    """A page that breaks on real data breaks for the person who looks after the money."""
    seen = visit(browser, f"{address}/{page}")
    assert seen.errors == ()
    assert [words for words in PAGES[page] if words not in seen.text] == []
