"""Data about the past arrives: what is computed again is what would have been another way, and nothing else."""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl
import pytest

from bifrost_assets.features.daily import FEATURES, LOOKBACK_SESSIONS
from bifrost_assets.features.definitions import defs as features
from bifrost_assets.features.history import features_of_window
from bifrost_assets.late_data import ATTEMPTS, RANGE_END, RANGE_START, late_data, ranges
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_core.calendar import sessions_between
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import checks, load, materialize, sample_bars

FIRST, LAST = date(2012, 12, 3), date(2013, 3, 1)
DAYS = [s.session for s in sessions_between("XNYS", date(2011, 1, 1), LAST)]
MISSING = DAYS[DAYS.index(FIRST) - LOOKBACK_SESSIONS + 41]  # the last sessions do not look back so far


@pytest.fixture
def computed(warehouse: Warehouse) -> Warehouse:
    """Features of a quarter, made while one bar was missing a year before."""
    bars = sample_bars().filter(pl.col("session") > date(2011, 1, 1))
    load(warehouse, bars.filter((pl.col("session") != MISSING) | (pl.col("symbol") != "IBM")))
    assert materialize([features], warehouse, FIRST, LAST).success
    return warehouse


def tick(warehouse: Warehouse, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": warehouse})
    return late_data(context)  # type: ignore[return-value]


def arrives(warehouse: Warehouse) -> None:
    load_bars(warehouse, provider_of(warehouse.settings), MISSING, MISSING, "run")


def test_exactly_the_sessions_that_look_back_to_a_late_bar_are_computed_again(computed: Warehouse) -> None:
    """A year of features would stay as if the bar had never come, or all of history be computed for one bar."""
    instance, before = dg.DagsterInstance.ephemeral(), computed.read("select * from features.daily")
    arrives(computed)
    found = tick(computed, instance)
    [request] = found.run_requests or []
    affected = DAYS[DAYS.index(FIRST) : DAYS.index(MISSING) + LOOKBACK_SESSIONS]
    assert len(affected) == 41
    asked = [date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END)]
    assert asked == [affected[0], affected[-1]]
    again = features_of_window(computed, FIRST, LAST)
    both = before.join(again, on=["instrument_id", "session"], suffix="_again")
    differs = pl.any_horizontal((pl.col(name) - pl.col(f"{name}_again")).abs() > 1e-9 for name in FEATURES)
    changed = both.filter(differs)["session"].unique()
    assert len(changed) >= 20
    assert set(changed) <= set(affected)


def test_a_run_that_does_not_mend_them_is_tried_again_and_not_for_ever(computed: Warehouse) -> None:
    """One failed run would leave the sessions as they were in silence, or a lasting cause run every five minutes."""
    arrives(computed)
    instance = dg.DagsterInstance.ephemeral()
    for _ in range(ATTEMPTS):
        found = tick(computed, instance)
        [request] = found.run_requests or []
        assert found.cursor is None
        failed = dg.DagsterRun(job_name="recompute", status=dg.DagsterRunStatus.FAILURE, tags=dict(request.tags))
        instance.add_run(failed)
    given_up = tick(computed, instance)
    assert (given_up.run_requests, given_up.cursor) == ([], None)
    assert "did not mend them" in str(given_up.skip_reason)


def test_computing_them_again_settles_it(computed: Warehouse) -> None:
    """The check would fail for ever, or never have failed."""
    day = date(2012, 12, 4)
    arrives(computed)
    assert tick(computed, dg.DagsterInstance.ephemeral()).run_requests
    materialize([features], computed, FIRST, LAST)
    assert not tick(computed, dg.DagsterInstance.ephemeral()).run_requests
    assert checks(materialize([features], computed, day))["features/daily:follows_from_what_was_known"]


def test_a_correction_changes_no_session_of_the_past(computed: Warehouse) -> None:
    """What is known from today on would be put into the features of yesterday."""
    provider = provider_of(computed.settings)
    with computed.transaction() as connection:
        connection.execute(
            "insert into raw.loads values ((select instrument_id from reference.instruments where symbol = 'IBM'),"
            " 'test', '2013-02-01', '2013-02-01', now(), '', 1, '{}', null, 'run')"
        )
        connection.execute(
            "insert into raw.daily_bars select instrument_id, session, now(), now(), open, high, low, close + 1,"
            " volume, null, provider, payload_sha256 from raw.daily_bars_as_of() where session = '2013-02-01'"
        )
    assert provider.name == "sample"
    assert tick(computed, dg.DagsterInstance.ephemeral()).run_requests == []


def test_nothing_is_asked_for_while_a_run_is_on_its_way(computed: Warehouse) -> None:
    """The night's own bars would be taken for late ones between its first step and its last."""
    arrives(computed)
    instance = dg.DagsterInstance.ephemeral()
    instance.add_run(dg.DagsterRun(job_name="nightly", status=dg.DagsterRunStatus.STARTED))
    found = tick(computed, instance)
    assert (found.run_requests, found.cursor) == ([], None)
    assert "on its way" in str(found.skip_reason)


def test_sessions_become_ranges_without_gaps() -> None:
    """A range over a gap would compute what was not affected."""
    settings = load_settings(first_partition="2000-01-03")
    days = [date(2013, 2, d) for d in (14, 15, 19, 21, 25, 26)]  # the 18th was a holiday
    assert ranges(settings, days) == [
        ("2013-02-14", "2013-02-19"),
        ("2013-02-21", "2013-02-21"),
        ("2013-02-25", "2013-02-26"),
    ]
    assert ranges(settings, []) == []
