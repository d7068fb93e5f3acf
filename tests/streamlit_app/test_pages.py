"""Every page, drawn in process by Streamlit's own test runner, over an empty shop and one that traded."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from bifrost_core.settings import ROOT, Settings
from bifrost_core.warehouse.connect import Role, connect
from tests import world

VIEWS = ("overview", "research", "risk", "quality", "operations", "provenance")
SECONDS = 60


def use(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Make the app's settings those of `settings`."""
    for name in ("home", "artifacts", "database", "daemon_port"):
        monkeypatch.setenv(f"BIFROST_{name.upper()}", str(getattr(settings, name)))


def draw(monkeypatch: pytest.MonkeyPatch, settings: Settings, view: str) -> AppTest:
    """The page after its first run, with the app's settings those of `settings`."""
    for name in ("home", "artifacts", "database", "daemon_port"):
        monkeypatch.setenv(f"BIFROST_{name.upper()}", str(getattr(settings, name)))
    script = (
        f"from streamlit_app import layout\nfrom streamlit_app.views import {view}\nlayout.guarded({view}.render)()"
    )
    return AppTest.from_string(script, default_timeout=SECONDS).run()


def words(page: AppTest) -> str:
    """Everything the page says outside its tables."""
    kinds = (page.title, page.header, page.caption, page.info, page.success, page.warning, page.markdown)
    parts = [str(element.value) for kind in kinds for element in kind]
    return "\n".join(parts + [f"{m.label}: {m.value} {m.delta}" for m in page.metric])


@pytest.mark.usefixtures("_the_apps_settings")
@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_shop_says_what_to_run(monkeypatch: pytest.MonkeyPatch, empty_shop: Settings, view: str) -> None:
    """A new user sees every page before there is anything on it; a traceback or a blank page ends the visit."""
    page = draw(monkeypatch, empty_shop, view)
    assert not page.exception
    assert not page.error
    assert "bifrost demo" in words(page) or "bifrost up" in words(page)


@pytest.mark.usefixtures("_the_apps_settings")
@pytest.mark.parametrize("view", VIEWS)
def test_a_shop_that_traded_is_drawn_without_an_error(
    monkeypatch: pytest.MonkeyPatch, full_shop: world.World, view: str
) -> None:
    """A query that no longer fits the schema shows here first."""
    page = draw(monkeypatch, full_shop.settings, view)
    assert not page.exception
    assert not page.error
    assert "bifrost demo" not in words(page)


@pytest.mark.usefixtures("_the_apps_settings")
def test_the_entry_file_opens_on_the_overview(monkeypatch: pytest.MonkeyPatch, full_shop: world.World) -> None:
    """What `bifrost dashboard` serves is this file; a page that draws alone but not in it helps nobody."""
    use(monkeypatch, full_shop.settings)
    page = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=SECONDS).run()
    assert not page.exception
    assert page.title[0].value == "Overview"


@pytest.mark.usefixtures("_the_apps_settings")
def test_the_first_figures_are_those_of_the_book(monkeypatch: pytest.MonkeyPatch, full_shop: world.World) -> None:
    """A trader acts on these eight numbers; they are recomputed here from fills and closes."""
    figures = {metric.label: metric.value for metric in draw(monkeypatch, full_shop.settings, "overview").metric}
    with connect(full_shop.settings, Role.READER) as connection:
        ((cash, held),) = connection.execute(
            "select (select balance from trading.cash), sum(p.quantity * b.close::numeric) from trading.positions p"
            " join reference.instruments i using (symbol) join raw.daily_bars b using (instrument_id)"
            " where b.session = (select max(session) from raw.daily_bars)"
        ).fetchall()
    assert figures["Equity"] == f"${cash + held:,.2f}"
    assert figures["Exposure"] == f"${held:,.2f}"
    assert figures["Cash"] == f"${cash:,.2f}"
    assert (figures["Open orders"], figures["Failed checks"], figures["Kill switch"]) == ("0", "1", "released")
    assert figures["Market time"] == "2013-03-01 21:00"
    assert f"P&L {full_shop.traded[-1]}" in figures


@pytest.mark.usefixtures("_the_apps_settings")
def test_checks_that_never_ran_do_not_count_as_passed(monkeypatch: pytest.MonkeyPatch, empty_shop: Settings) -> None:
    """A zero where nothing was looked at is the most dangerous figure on the screen."""
    figures = {metric.label: metric for metric in draw(monkeypatch, empty_shop, "overview").metric}
    assert (figures["Failed checks"].value, figures["Failed checks"].delta) == ("–", "none has run yet")


@pytest.mark.usefixtures("_the_apps_settings")
def test_a_report_that_was_changed_says_so(monkeypatch: pytest.MonkeyPatch, full_shop: world.World) -> None:
    """The page is where somebody would hand out a forged report."""
    file = full_shop.settings.artifacts / "compliance" / str(full_shop.traded[-1]) / "order_audit_trail.csv"
    written = file.read_bytes()
    file.write_bytes(written + b"forged\n")
    try:
        assert words(draw(monkeypatch, full_shop.settings, "risk")).count("CHANGED since it was written") == 1
    finally:
        file.write_bytes(written)


@pytest.mark.usefixtures("_the_apps_settings")
def test_denials_can_be_seen_alone(monkeypatch: pytest.MonkeyPatch, full_shop: world.World) -> None:
    """The question of the day is what was denied, and it must not be buried."""
    page = draw(monkeypatch, full_shop.settings, "risk")
    page.button_group(key="outcome").set_value("denied").run()
    shown = [table.value for table in page.dataframe if "decided_at" in table.value.columns]
    assert shown[0]["reason_code"].to_list() == ["MAX_ORDER_VALUE"]


@pytest.mark.usefixtures("_the_apps_settings")
def test_an_unknown_id_is_a_line_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch, full_shop: world.World) -> None:
    """A pasted id with a typo is the most common input of the page."""
    page = draw(monkeypatch, full_shop.settings, "provenance")
    page.text_input[0].set_value("no-such-order").run()
    assert not page.exception
    assert "no order, fill or decision has the id 'no-such-order'" in words(page)


def test_a_failing_page_is_one_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistakes reach the log with their traceback, and the screen without it."""
    script = "from streamlit_app import layout\ndef page():\n    return 1 / 0\nlayout.guarded(page)()"
    page = AppTest.from_string(script, default_timeout=SECONDS).run()
    assert not page.exception
    assert [box.value.split(".")[0] for box in page.error] == ["**This page could not be drawn"]
