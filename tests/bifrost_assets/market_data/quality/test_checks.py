"""The checks in real runs: what they flag, what they keep of it, what blocks."""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl
import pytest

from bifrost_assets.market_data import assets
from bifrost_assets.market_data.definitions import definitions_of
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.quality import checks, judging
from bifrost_assets.market_data.quality.assets import comparison_bars
from bifrost_assets.market_data.quality.comparison import fetch_second
from bifrost_assets.market_data.reference import instrument_ids
from bifrost_assets.market_data.reference.instruments import register_again
from bifrost_assets.market_data.reference.listings import delist, rename
from bifrost_core.errors import SettingsError
from bifrost_core.quarantine import Decision, decide
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.frame_provider import FrameProvider
from tests.bifrost_assets.market_data.storing import append_vintages

FIRST, LAST = "2013-02-11", "2013-02-15"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
TOO_LARGE_A_DIVIDEND = """
    insert into raw.corporate_actions
        (instrument_id, ex_session, ingested_at, available_at, kind, price_factor, provider, payload_sha256)
    select instrument_id, '2013-02-14', now(), now(), 'cash_dividend', 0.4, 'me', 'h'
    from reference.instruments where symbol = 'IBM'
"""
QUALITY = [
    *(checks.bars_are_plausible, checks.actions_meet_expectations, checks.instruments_meet_expectations),
    *(checks.sessions_meet_expectations, checks.members_meet_expectations),
]


def run(warehouse: Warehouse, second: BarProvider | None = None, **more: object) -> dg.ExecuteInProcessResult:
    compared = [comparison_bars, checks.sources_agree] if second else []
    return dg.materialize(
        [assets.reference_data, assets.daily_bars, *QUALITY, *compared],
        resources={
            "warehouse": warehouse,
            "provider": provider_of(warehouse.settings),
            **({"second_provider": second} if second else {}),
        },
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        tags=dict(zip(RANGE, (FIRST, LAST), strict=True)),
        **more,  # type: ignore[arg-type]
    )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def store_again(warehouse: Warehouse, symbol: str, day: date, factor: float) -> None:
    """A new vintage of a stored bar, its prices multiplied."""
    sql = """
        select b.* from raw.daily_bars_as_of() b join reference.instruments i using (instrument_id)
        where i.symbol = $1 and b.session = $2
    """
    bars = warehouse.read(sql, symbol, day).with_columns(pl.col("open", "high", "low", "close") * factor)
    append_vintages(warehouse, bars.drop("ingested_at"))


def test_good_data_passes_and_every_result_is_kept(warehouse: Warehouse) -> None:
    """What was looked at on a day, and what was seen, could not be shown."""
    result = run(warehouse)
    assert result.success
    assert {name: one.passed for name, one in verdicts(result).items() if not one.passed} == {}
    kept = warehouse.read(
        "select suite, count(*) as n, bool_and(passed) as passed from quarantine.check_results group by suite"
    )
    assert {suite: passed for suite, n, passed in kept.iter_rows() if n > 1} == dict.fromkeys(
        ("plausible_bars", "corporate_actions", "instruments", "sessions", "universe_members"), True
    )


def test_a_doubtful_bar_is_flagged_once_warned_of_and_forgotten_when_released(warehouse: Warehouse) -> None:
    """A doubt that blocks stops the night for a crash; one that is listed twice is decided twice."""
    run(warehouse)
    store_again(warehouse, "IBM", date(2013, 2, 14), 1.3)
    for newly in (1, 0):
        result = run(warehouse, selection=dg.AssetSelection.checks(checks.bars_are_plausible))
        found = verdicts(result)["bars_are_plausible"]
        assert result.success
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert found.metadata["newly_flagged"].value == newly
    sql = "select quarantine_id, subject, session, status, provider from quarantine.rows"
    [(row, *rest)] = warehouse.read(sql).rows()
    assert rest == ["IBM", date(2013, 2, 14), "flagged", "sample"]
    decide(warehouse.settings, [row], Decision.RELEASE, "it was real", "ann")
    again = run(warehouse, selection=dg.AssetSelection.checks(checks.bars_are_plausible))
    assert verdicts(again)["bars_are_plausible"].passed


def test_bars_before_the_window_get_a_second_look(warehouse: Warehouse) -> None:
    """Some errors show only by what follows them, which the night of the error does not know."""
    run(warehouse)
    store_again(warehouse, "IBM", date(2013, 2, 13), 1.3)
    judged = judging.judge(warehouse, date(2013, 2, 15), date(2013, 2, 15))
    assert judged.doubts["session"].to_list() == [date(2013, 2, 13)]
    assert judging.judge(warehouse, date(2013, 2, 22), date(2013, 2, 22)).doubts.is_empty()


def test_an_empty_warehouse_has_nothing_to_doubt(warehouse: Warehouse) -> None:
    """The first night of all would fail in its checks, and not where the reason is."""
    assert judging.judge(warehouse, date(2013, 2, 15), date(2013, 2, 15)).doubts.is_empty()


def test_broken_reference_data_blocks_and_broken_actions_warn(warehouse: Warehouse, owner: Warehouse) -> None:
    """A calendar with a hole of a month makes every session after it look adjacent."""
    run(warehouse)
    with owner.transaction() as connection:
        connection.execute("delete from reference.sessions where session between '2012-05-01' and '2012-05-31'")
        connection.execute("update reference.instruments set currency = 'usd' where symbol = 'IBM'")
        connection.execute(TOO_LARGE_A_DIVIDEND)
    result = run(warehouse, selection=dg.AssetSelection.checks(*QUALITY))
    failed = {name: one.severity.value for name, one in verdicts(result).items() if not one.passed}
    assert failed == {
        "sessions_meet_expectations": "ERROR",
        "instruments_meet_expectations": "ERROR",
        "actions_meet_expectations": "WARN",
        "bars_are_plausible": "WARN",
    }


@pytest.fixture
def other(settings: Settings) -> FrameProvider:
    """A second source with the sample's bars, IBM's close of 2013-02-14 two percent higher."""
    fetched = SampleProvider(settings).fetch(["AAPL", "IBM"], date(2013, 2, 11), date(2013, 2, 15))
    wrong = (pl.col("session") == date(2013, 2, 14)) & (pl.lit("IBM") == pl.col("symbol"))
    close = pl.when(wrong).then(pl.col("close") * 1.02).otherwise(pl.col("close"))
    frames = {one.symbol: one.bars.with_columns(symbol=pl.lit(one.symbol)) for one in fetched.loaded}
    rows = {
        symbol: bars.with_columns(close=close, high=pl.max_horizontal("high", close)).drop("symbol").rows()
        for symbol, bars in frames.items()
    }
    return FrameProvider(rows)  # type: ignore[arg-type]


def test_a_second_source_is_kept_apart_and_compared(warehouse: Warehouse, other: FrameProvider) -> None:
    """One vendor's error looks like a price until another one is asked."""
    result = run(warehouse, other)
    assert result.success
    found = verdicts(result)["sources_agree"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    [(subject, reason)] = warehouse.read("select subject, reason from quarantine.rows").rows()
    assert subject == "IBM"
    assert reason.startswith("frames has another close: ")
    assert warehouse.read("select count(*) from raw.comparison_bars").item() == 10
    run(warehouse, other)
    assert warehouse.read("select count(*) from raw.comparison_bars").item() == 10
    providers = warehouse.read("select distinct provider from raw.daily_bars")["provider"].to_list()
    assert providers == ["sample"]


def test_a_second_source_is_asked_for_who_had_the_symbol_then(warehouse: Warehouse, other: FrameProvider) -> None:
    """Its past would be compared with another company's, and a renamed share with nobody's."""
    run(warehouse)
    settings, window = warehouse.settings, (date(2013, 2, 14), date(2013, 2, 15))
    with warehouse.transaction() as connection:
        ids = instrument_ids(connection)
        rename(connection, settings, "AAPL", "PEAR", window[0], "me")
        delist(connection, settings, "IBM", date(2013, 2, 19), None, "me")
    register_again(warehouse, other, "IBM", "me")
    other.rows["PEAR"] = other.rows.pop("AAPL")
    fetch_second(warehouse, other, *window)
    theirs = warehouse.read("select distinct instrument_id from raw.comparison_bars")["instrument_id"].to_list()
    assert sorted(theirs) == sorted([ids["AAPL"], ids["IBM"]])


def test_the_second_source_is_an_asset_only_where_it_is_set() -> None:
    """An asset that never holds anything is a question on every look at the lineage."""

    def keys(settings: Settings) -> set[str]:
        found = definitions_of(settings).assets or []
        return {key.to_user_string() for one in found for key in one.keys}  # type: ignore[union-attr]

    assert "raw/comparison_bars" not in keys(load_settings())
    assert "raw/comparison_bars" in keys(load_settings(second_provider="yahoo"))
    with pytest.raises(SettingsError, match="there is no provider 'nobody'"):
        definitions_of(load_settings(second_provider="nobody"))
