"""The radar: what a correction would have changed, against what was computed before and after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import polars as pl
import pytest

from bifrost_assets.features.definitions import defs as features
from bifrost_assets.features.history import features_of_window
from bifrost_assets.revisions.assets import revision_effects
from bifrost_assets.revisions.effects import effects
from bifrost_assets.revisions.found import new_revisions
from bifrost_core.warehouse.bulk import copy_frame
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import IDS, load, materialize, sample_bars

FIRST, LAST = date(2013, 1, 2), date(2013, 2, 15)
REVISED = date(2013, 2, 1)
AT = datetime(2013, 2, 20, 12, tzinfo=UTC)
IBM = IDS["IBM"]


@pytest.fixture
def computed(warehouse: Warehouse) -> Warehouse:
    """Features of six weeks from the bars as first published."""
    load(warehouse, sample_bars().filter(pl.col("session").is_between(date(2011, 6, 1), LAST)))
    assert materialize([features], warehouse, FIRST, LAST).success
    return warehouse


def revise(warehouse: Warehouse, factor: float, at: datetime = AT) -> None:
    old = warehouse.read("select * from raw.daily_bars_as_of() where instrument_id = $1 and session = $2", IBM, REVISED)
    scaled = [(pl.col(name) * factor).alias(name) for name in ("open", "high", "low", "close")]
    with warehouse.transaction() as connection:
        new = old.with_columns(*scaled, ingested_at=pl.lit(at), available_at=pl.lit(at))
        copy_frame(connection, new, "raw.daily_bars")
        gone = old.select("instrument_id", "session", "ingested_at", superseded_at=pl.lit(at))
        copy_frame(connection, gone, "raw.daily_bars_superseded")


def test_a_correction_is_sized_and_its_effects_are_counted(computed: Warehouse) -> None:
    """A vendor's correction would go by unseen, and nobody know which decisions were made from the wrong price."""
    before = features_of_window(computed, REVISED, LAST)
    revise(computed, 1.10)
    [revision] = new_revisions(computed)
    found = effects(computed, revision)
    row = found.filter(instrument_id=IBM).row(0, named=True)
    assert (row["revised_sessions"], row["first_session"], row["last_session"]) == (1, REVISED, LAST)
    assert row["largest_change"] == pytest.approx(0.10)
    sessions = before.filter(instrument_id=IBM).height
    assert row["feature_rows"] == sessions == 11  # the price of the first moves every window it is in
    assert row["signals"] > 0
    assert row["targets"] > 0
    assert row["largest_weight_change"] > 0
    assert (row["fills"], row["fill_value"]) == (0, Decimal(0))


def test_a_correction_of_nothing_that_matters_has_no_effects(computed: Warehouse) -> None:
    """An alarm at every corrected digit would be switched off."""
    revise(computed, 1.0)
    [revision] = new_revisions(computed)
    [row] = effects(computed, revision).to_dicts()
    assert (row["instrument_id"], row["revised_sessions"], row["largest_change"]) == (IBM, 1, 0.0)
    assert not any(row[name] for name in ("feature_rows", "signals", "targets", "fills"))


def test_what_was_known_before_the_first_computation_changed_nothing(computed: Warehouse) -> None:
    """A correction that came in time would be counted as if decisions had been made without it."""
    revise(computed, 1.10, datetime(2013, 2, 1, 22, tzinfo=UTC))  # after that session's cutoff, before the next one's
    [revision] = new_revisions(computed)
    row = effects(computed, revision).filter(instrument_id=IBM).row(0, named=True)
    assert (row["first_session"], row["last_session"], row["feature_rows"]) == (REVISED, REVISED, 1)


def test_a_late_action_is_a_revision(computed: Warehouse) -> None:
    """A split that the vendor forgot for a week moved every return of that week."""
    row = {
        "instrument_id": IBM, "ex_session": REVISED, "kind": "split", "price_factor": 0.5, "available_at": AT,
        "ingested_at": AT, "provider": "sample", "payload_sha256": "0" * 64,
    }  # fmt: skip
    with computed.transaction() as connection:
        copy_frame(connection, pl.DataFrame([row]).cast({"instrument_id": pl.Int32}), "raw.corporate_actions")
    [revision] = new_revisions(computed)
    row = effects(computed, revision).filter(instrument_id=IBM).row(0, named=True)
    assert (row["revised_sessions"], row["largest_change"]) == (1, None)
    assert row["feature_rows"] == 11


def test_each_revision_is_looked_into_once(computed: Warehouse) -> None:
    """The radar would recompute every revision ever made, every night."""
    revise(computed, 1.10)
    for expected in (1, 0):
        result = dg.materialize([revision_effects], resources={"warehouse": computed})
        [event] = result.get_asset_materialization_events()
        assert event.materialization.metadata["revisions"].value == expected
    revise(computed, 0.9, AT + timedelta(days=1))
    assert len(new_revisions(computed)) == 1


def test_a_revision_of_what_is_not_computed_yet_still_shows_what_is(computed: Warehouse) -> None:
    """A load corrects a bar of last week and one of tonight: the week's decisions would count as untouched."""
    revise(computed, 1.10)
    [revision] = new_revisions(computed)
    found = effects(computed, replace(revision, last=date(2013, 2, 19)))
    assert found.filter(instrument_id=IBM)["feature_rows"].item() == 11
