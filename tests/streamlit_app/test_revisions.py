"""The radar on a page and in the terminal, before and after a revision."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from bifrost_cli.main import app
from bifrost_core.settings import Settings
from bifrost_core.warehouse.warehouse import Warehouse

DRAW = "from streamlit_app import layout\nfrom streamlit_app.views import revisions\nlayout.guarded(revisions.render)()"
REVISED = """
    insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)
    values (1, 'IBM', 'IBM', 'equity', 'XNYS', 'USD');
    insert into research.revision_effects values ('2013-02-20 12:00+00', 1, 2, 0.1, '2013-02-01', '2013-02-15', 11, 10,
        22, 8, 0.0525, 3, 1234.5, 'code', 'run', now())
"""


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    for name in ("home", "artifacts", "database"):
        monkeypatch.setenv(f"BIFROST_{name.upper()}", str(getattr(settings, name)))


def page() -> AppTest:
    from streamlit_app import queries

    queries.settings.clear()
    drawn = AppTest.from_string(DRAW, default_timeout=60).run()
    queries.settings.clear()
    assert not drawn.exception
    assert not drawn.error
    return drawn


def printed() -> str:
    return CliRunner().invoke(app, ["revisions"]).output


def test_a_shop_without_revisions_says_so() -> None:
    """An empty table leaves open whether nothing happened or nothing was looked at."""
    assert "No provider has changed" in page().success[0].value
    assert "No revision is stored" in printed()


def test_a_revision_is_shown_with_its_size_and_its_effects(owner: Warehouse) -> None:
    """It would be stored, and nobody told."""
    with owner.transaction() as connection:
        connection.execute(REVISED)
    figures = {metric.label: (metric.value, metric.delta) for metric in page().metric}
    assert figures["Largest change"][0] == "10.00%"
    assert figures["Targets"] == ("8", "would differ, by 5.25% at most")
    assert figures["Fills"] == ("3", "from such targets, $1,234")
    [line] = [line for line in printed().splitlines() if "IBM" in line]
    assert "10.00%" in line
    assert "11 feature rows, 22 signals, 8 targets (weight by 5.25% at most), 3 fills" in line
