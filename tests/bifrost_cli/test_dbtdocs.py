"""The dbt documentation, made from a real warehouse and read in a real browser."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bifrost_cli.dbtdocs import Docs, Server
from bifrost_core.warehouse.warehouse import Warehouse
from tests.browser import chromium


@contextmanager
def serving(docs: Docs) -> Iterator[str]:
    with Server(0, docs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_browser_shows_what_a_model_means_and_nothing_beside_it(warehouse: Warehouse, owner: Warehouse) -> None:
    """The link in the app would lead to an empty page, or to dbt's logs."""
    docs = Docs(warehouse.settings)
    docs.refresh()
    with serving(docs) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/#!/model/model.bifrost.fct_bar_revisions")
        page.get_by_text("One row per vintage of a bar that the provider replaced or withdrew").first.wait_for()
        page.get_by_text("Whether nothing took its place then").first.wait_for()
        for path in ("/manifest.json", "/dbt.log", "/../secrets.json"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address + path)
    made = docs.page.stat().st_mtime_ns
    docs.refresh()
    assert docs.page.stat().st_mtime_ns == made, "nothing changed, and it was made again"
    with owner.transaction() as connection:
        connection.execute("alter table raw.daily_bars add column halted boolean")
    docs.refresh()
    assert docs.page.stat().st_mtime_ns > made
