"""Operations says what is late and why, and since when it knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from tests.streamlit_app.test_pages import draw, words

NOW = datetime.now(UTC)
DUE = NOW - timedelta(hours=3)
JUDGED = """
    insert into quarantine.asset_freshness values (%s, '2013-03-01', '2013-02-28', %s, %s, %s, %s, 'run-1', %s)
"""


def judge(settings: Settings, *verdicts: tuple[str, bool], at: datetime) -> None:
    with connect(settings, Role.PIPELINE) as connection:
        connection.execute("delete from quarantine.asset_freshness")
        for asset, late in verdicts:
            cause, why = ("run_failed", "step daily_bars failed: HTML") if late else ("on_time", "")
            connection.execute(JUDGED, (asset, DUE, late, cause, why, at))


@pytest.mark.usefixtures("_the_apps_settings")
def test_a_late_asset_shows_its_session_its_hours_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, empty_shop: Settings
) -> None:
    """A red light without a reason sends everybody to the logs."""
    judge(empty_shop, ("raw/daily_bars", True), ("ml/predictions", False), at=NOW)
    page = draw(monkeypatch, empty_shop, "operations")
    [table] = [one.value for one in page.dataframe if "hours_late" in one.value.columns]
    assert table["asset"].to_list() == ["raw/daily_bars"]
    assert [str(day)[:10] for day in table["due_session"]] == ["2013-03-01"]
    assert table["why"].to_list() == ["step daily_bars failed: HTML"]
    assert table["hours_late"].round(2).to_list() == [3.0]
    judge(empty_shop, at=NOW)


@pytest.mark.usefixtures("_the_apps_settings")
def test_old_verdicts_say_that_they_are_old(monkeypatch: pytest.MonkeyPatch, empty_shop: Settings) -> None:
    """Green because nobody looks any more is the worst green."""
    judge(empty_shop, ("raw/daily_bars", False), at=NOW - timedelta(hours=1))
    said = words(draw(monkeypatch, empty_shop, "operations"))
    assert "this may no longer hold" in said
    assert "All 1 assets have session 2013-03-01" in said
    judge(empty_shop, at=NOW)
