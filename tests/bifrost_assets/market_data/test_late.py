"""What comes late, comes again, or comes in pieces."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bifrost_assets.asof import bars_as_of
from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.portion import Loaded
from bifrost_assets.market_data.providers.base import ACTION_SCHEMA, ProviderDown
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_assets.market_data.vintages import Appended
from bifrost_core.calendar import cutoff
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.frame_provider import FrameProvider, days, flat

DAYS = days(date(2013, 2, 11), date(2013, 2, 28))
A, B, C, D, E = DAYS[5:10]
NOW = datetime(2013, 3, 4, tzinfo=UTC)
BARS = "select instrument_id, session, close, available_at, ingested_at from raw.daily_bars_as_of() order by 1, 2"


@pytest.fixture
def small(settings: Settings) -> Warehouse:
    return Warehouse(settings.model_copy(update={"universe": ("AAA", "BBB"), "benchmark": "IDX"}), Role.PIPELINE)


@pytest.fixture
def source() -> FrameProvider:
    return FrameProvider({name: [flat(day, 10.0 + n) for n, day in enumerate(DAYS)] for name in ("AAA", "BBB", "IDX")})


def load(
    warehouse: Warehouse, source: FrameProvider, first: date, last: date | None = None, now: datetime = NOW
) -> Loaded:
    store_sessions(warehouse)
    register_instruments(warehouse, source)
    return load_bars(warehouse, source, first, last or first, "run", now)


def take(source: FrameProvider, symbol: str, session: date) -> None:
    source.rows[symbol] = [row for row in source.rows[symbol] if row[0] != session]


def instrument(warehouse: Warehouse, symbol: str) -> int:
    return int(warehouse.read("select instrument_id from reference.instruments where symbol = $1", symbol).item())


def test_a_late_bar_is_stored_by_the_next_night_and_known_from_then(small: Warehouse, source: FrameProvider) -> None:
    """It stayed missing for ever, or was shown to the night that did not have it."""
    late = source.rows["BBB"]
    take(source, "BBB", B)
    load(small, source, A)
    assert load(small, source, B).failed["BBB"].startswith("the answer for BBB has no bar")
    source.rows["BBB"] = late
    loaded = load(small, source, C)
    assert (loaded.late, loaded.appended) == (1, Appended(inserted=4, unchanged=5))
    known = dict(
        small.read(BARS).filter(instrument_id=instrument(small, "BBB")).select("session", "available_at").rows()
    )
    lag = timedelta(minutes=15)
    assert known == {A: cutoff("XNYS", A, lag), B: cutoff("XNYS", C, lag), C: cutoff("XNYS", C, lag)}


def test_sessions_nobody_asked_for_are_not_stored(small: Warehouse, source: FrameProvider) -> None:
    """The first night of a new warehouse would store a week that no partition says it has."""
    assert load(small, source, C).appended == Appended(inserted=3)
    assert small.read(BARS)["session"].unique().to_list() == [C]


def test_a_correction_within_the_week_is_a_vintage_known_when_stored(small: Warehouse, source: FrameProvider) -> None:
    """Vendors correct yesterday's bar in the morning: it was never noticed."""
    load(small, source, A)
    load(small, source, B)
    source.rows["AAA"][DAYS.index(A)] = flat(A, 15.5)
    loaded = load(small, source, C, now=NOW + timedelta(hours=1))
    assert loaded.appended == Appended(inserted=3, revised=1, unchanged=5)
    row = small.read(BARS).filter(instrument_id=instrument(small, "AAA"), session=A).row(0, named=True)
    assert (row["close"], row["available_at"]) == (15.5, NOW + timedelta(hours=1))


def test_the_same_content_is_not_compared_again(small: Warehouse, source: FrameProvider) -> None:
    """A reload of ten years would cost as much as the first load."""
    load(small, source, A, C)
    recorded = "select count(*) from raw.loads"
    before = small.read(recorded).item()
    assert load(small, source, A, C, NOW + timedelta(hours=1)).appended == Appended(unchanged=9)
    assert small.read(recorded).item() == before


def test_the_same_content_is_compared_where_another_load_changed_it(small: Warehouse, source: FrameProvider) -> None:
    """A correction that the vendor takes back would stay for ever."""
    original = list(source.rows["AAA"])
    load(small, source, A, C)
    source.rows["AAA"][DAYS.index(B)] = flat(B, 16.5)
    load(small, source, D, now=NOW + timedelta(hours=1))
    source.rows["AAA"] = original
    loaded = load(small, source, A, C, NOW + timedelta(hours=2))
    assert loaded.appended == Appended(revised=1, unchanged=8)


def test_a_load_that_was_cut_short_goes_on(settings: Settings) -> None:
    """A kill in the middle of five hundred symbols would fetch all of them again."""
    names = [f"S{n:03}" for n in range(120)]
    source = FrameProvider({name: [flat(C, 10.0)] for name in names})
    warehouse = Warehouse(
        settings.model_copy(update={"universe": tuple(names[1:]), "benchmark": names[0]}), Role.PIPELINE
    )
    source.dies_at = 2
    with pytest.raises(ProviderDown, match="hung up"):
        load(warehouse, source, date(2000, 1, 3), C)
    done: list[tuple[int, int]] = []
    again = load_bars(warehouse, source, date(2000, 1, 3), C, "run", NOW, lambda n, of: done.append((n, of)))
    assert len(source.asked[0]) == again.resumed < 120
    assert set(source.asked[0]).isdisjoint(source.asked[2])
    assert again.appended.inserted == 120 - again.resumed
    assert done == [(120, 120)]
    assert warehouse.read("select count(*) from raw.daily_bars").item() == 120
    load_bars(warehouse, source, date(2000, 1, 3), C, "run", NOW)
    assert sum(map(len, source.asked[3:])) == 120  # that attempt is finished: the next load asks for all


def test_a_failed_symbol_does_not_stop_the_portions_after_it(settings: Settings) -> None:
    """One unknown symbol alone in its portion would end the load."""
    names = [f"S{n:03}" for n in range(76)]
    source = FrameProvider({name: [flat(C, 10.0)] for name in names})
    universe = (*names[1:], "ZZZ")
    warehouse = Warehouse(settings.model_copy(update={"universe": universe, "benchmark": names[0]}), Role.PIPELINE)
    loaded = load(warehouse, source, date(2000, 1, 3), C)
    assert (loaded.appended.inserted, list(loaded.failed)) == (76, ["ZZZ"])


def test_the_vendors_own_actions_are_stored_with_their_values(small: Warehouse, source: FrameProvider) -> None:
    """A dividend of a split's day is paid on the new shares: its factor would be half of what it is."""
    rows = [(B, "split", 2.0), (B, "cash_dividend", 1.0), (C, "cash_dividend", 0.5)]
    source.actions["AAA"] = pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row")
    loaded = load(small, source, B, C)
    before = 10.0 + DAYS.index(A)
    sql = "select ex_session, kind, price_factor, value from raw.corporate_actions order by 1, 2"
    assert small.read(sql).rows() == [
        (B, "cash_dividend", pytest.approx(1 - 1.0 / (before / 2)), 1.0),
        (B, "split", 0.5, 2.0),
        (C, "cash_dividend", pytest.approx(1 - 0.5 / (before + 1)), 0.5),
    ]
    assert loaded.actions == 3
    assert load(small, source, B, C).actions == 0


def test_an_action_that_the_vendor_takes_back_is_cancelled(small: Warehouse, source: FrameProvider) -> None:
    """A dividend entered by mistake would stay in every return."""
    rows = source.rows["AAA"]
    source.rows["AAA"] = [flat(row[0], row[4], adjusted=row[4] * 0.9) if row[0] <= A else row for row in rows]
    assert load(small, source, B).actions == 1
    source.rows["AAA"] = rows
    assert load(small, source, B, now=NOW + timedelta(hours=1)).actions == 1
    factors = "select dividend_factor from raw.bars_with_factors_as_of($1) where instrument_id = $2"
    aaa = instrument(small, "AAA")
    assert small.read(factors, NOW, aaa).item() == pytest.approx(0.9)
    assert small.read(factors, NOW + timedelta(hours=2), aaa).item() == 1.0
    assert load(small, source, B, now=NOW + timedelta(hours=2)).actions == 0


def test_an_action_stays_while_the_nights_move_on(small: Warehouse, source: FrameProvider) -> None:
    """On the first session that a load looks at no action can be found: it would be taken for one that is gone."""
    source.rows["AAA"] = [
        flat(row[0], row[4], adjusted=row[4] * 0.9) if row[0] <= A else row for row in source.rows["AAA"]
    ]
    for night in DAYS[DAYS.index(A) :]:
        load(small, source, night)
    actions = small.read("select ex_session, kind, is_cancelled from raw.corporate_actions").rows()
    assert actions == [(B, "cash_dividend", False)]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ((C, "merger", 1.0), "the kind of action is not known"),
        ((C, "split", 0.0), "the value is not a positive number"),
        ((C, "cash_dividend", float("nan")), "the value is not a positive number"),
        ((E, "split", 2.0), "there is no bar from its ex-session on"),
        ((C, "cash_dividend", 1_000.0), "the dividend is not less than the close before it"),
    ],
)
def test_an_action_that_cannot_be_is_held(
    small: Warehouse, source: FrameProvider, action: tuple[date, str, float], reason: str
) -> None:
    """It would be gone without a trace, or turn every earlier price negative."""
    good = (B, "split", 2.0)
    source.actions["AAA"] = pl.DataFrame([good, action], schema=ACTION_SCHEMA, orient="row")
    take(source, "AAA", E)
    assert load(small, source, B, E).quarantined == {reason: 1}
    assert small.read("select kind from raw.corporate_actions").to_series().to_list() == ["split"]
    held = small.read("select source, subject, session, reason from quarantine.rows").rows()
    assert held == [("raw.corporate_actions", "AAA", action[0], reason)]


def known_of(warehouse: Warehouse, symbol: str, session: date) -> datetime:
    known = warehouse.read(BARS).filter(instrument_id=instrument(warehouse, symbol), session=session)["available_at"]
    return known.item()


def test_a_bar_that_a_night_did_not_get_is_not_known_to_it_after_a_rerun(
    small: Warehouse, source: FrameProvider
) -> None:
    """Running an old partition again would show its night a bar that it is on record as not having."""
    rows = source.rows["BBB"]
    take(source, "BBB", B)
    load(small, source, B)
    for night in DAYS[DAYS.index(C) :]:
        load(small, source, night)
    source.rows["BBB"] = rows
    load(small, source, B)
    assert known_of(small, "BBB", B) == cutoff("XNYS", date(2013, 3, 1), timedelta(minutes=15))


def test_what_comes_after_months_was_not_known_for_months(small: Warehouse, source: FrameProvider) -> None:
    """A split that the vendor names a year later would be in the returns of the day it took effect."""
    none = pl.DataFrame(schema=ACTION_SCHEMA)
    source.actions["AAA"] = none
    load(small, source, A, D)
    source.actions["AAA"] = pl.DataFrame([(C, "split", 2.0)], schema=ACTION_SCHEMA, orient="row")
    load(small, source, A, D, NOW + timedelta(days=365))
    [known] = small.read("select available_at from raw.corporate_actions")["available_at"]
    assert known == cutoff("XNYS", D, timedelta(minutes=15)) + timedelta(days=365)


def test_a_late_bar_on_an_ex_session_moves_the_split_at_once(small: Warehouse, source: FrameProvider) -> None:
    """For a night both sessions would have it, and the return of one of them would be a hundred percent."""
    for symbol in ("AAA", "BBB", "IDX"):
        source.rows[symbol] = [flat(day, 20.0 if day < B else 10.0, float(100 + day.day)) for day in DAYS]
        source.actions[symbol] = pl.DataFrame([(B, "split", 2.0)], schema=ACTION_SCHEMA, orient="row")
    rows = source.rows["AAA"]
    take(source, "AAA", B)
    for hour, night in enumerate((A, B, C)):
        load(small, source, night, now=NOW + timedelta(hours=hour))
    source.rows["AAA"] = rows
    load(small, source, D, now=NOW + timedelta(hours=3))
    for night in (C, D):
        known = cutoff("XNYS", night, timedelta(minutes=15))
        bars = bars_as_of(small, A, D, known).filter(symbol="AAA")
        assert bars["total_return"].drop_nulls().to_list() == [0.0] * (bars.height - 1)


def test_a_source_that_says_nothing_cancels_nothing(small: Warehouse, source: FrameProvider) -> None:
    """One night from a dump without adjusted closes would turn every known split into a fall of the price."""
    source.actions["AAA"] = pl.DataFrame([(B, "split", 2.0)], schema=ACTION_SCHEMA, orient="row")
    load(small, source, B)
    del source.actions["AAA"]
    source.rows = {name: [(*row[:6], None) for row in rows] for name, rows in source.rows.items()}
    load(small, source, C)
    assert small.read("select kind, is_cancelled from raw.corporate_actions").rows() == [("split", False)]


def test_an_action_listed_twice_is_one(small: Warehouse, source: FrameProvider) -> None:
    """A two-for-one split would be stored as four-for-one."""
    split = (B, "split", 2.0)
    source.actions["AAA"] = pl.DataFrame([split, split], schema=ACTION_SCHEMA, orient="row")
    assert load(small, source, B).quarantined == {"the action is listed twice": 1}
    assert small.read("select price_factor from raw.corporate_actions").item() == 0.5


def test_an_adjusted_close_that_is_no_number_says_nothing(small: Warehouse, source: FrameProvider) -> None:
    """One infinite number would stop the load of every symbol beside it."""
    source.rows["AAA"][DAYS.index(B)] = flat(B, 16.0, adjusted=float("inf"))
    assert load(small, source, B, C).appended.inserted == 6
    assert small.read("select count(*) from raw.corporate_actions").item() == 0


def test_a_resumed_load_still_tells_what_was_held_and_may_find_only_failures(settings: Settings) -> None:
    """The check would pass on a night with bad rows, or the night never end for one symbol without a bar."""
    names = [f"S{n:03}" for n in range(80)]
    source = FrameProvider({name: [flat(C, 10.0)] for name in names[:-1]})
    source.rows[names[0]].append((B, 10.0, 9.0, 12.0, 10.0, 100.0, 10.0))
    universe = {"universe": tuple(names[1:]), "benchmark": names[0]}
    warehouse = Warehouse(settings.model_copy(update=universe), Role.PIPELINE)
    wanted = (*names[1:], names[0])
    source.rows = {name: source.rows[name] for name in wanted if name in source.rows}
    source.dies_at = 2
    with pytest.raises(ProviderDown):
        load(warehouse, source, date(2000, 1, 3), C)
    rest = set(wanted) - set(source.asked[0])
    for name in rest:
        source.rows.pop(name, None)
    loaded = load(warehouse, source, date(2000, 1, 3), C)
    assert set(loaded.failed) == rest
    assert loaded.quarantined.total() == (0 if names[0] in rest else 1)


def test_other_rules_judge_the_same_content_again(small: Warehouse, source: FrameProvider) -> None:
    """A person who loosens a threshold and runs the partition again would see what the old one held."""
    source.rows["AAA"][DAYS.index(C)] = flat(C, 1_700.0)
    assert load(small, source, A, D).quarantined.total() == 1
    loose = small.settings.quality.model_copy(update={"hold_scale_tolerance": 0.0})
    changed = Warehouse(small.settings.model_copy(update={"quality": loose}), Role.PIPELINE)
    assert load(changed, source, A, D, NOW + timedelta(hours=1)).quarantined.total() == 0


def test_a_change_in_the_overlap_is_compared_again_too(small: Warehouse, source: FrameProvider) -> None:
    """A wrong answer in between would stay, though the vendor says the right thing again."""
    original = list(source.rows["AAA"])
    load(small, source, A, B)
    load(small, source, C, now=NOW + timedelta(hours=1))
    source.rows["AAA"][DAYS.index(B)] = flat(B, 16.5)
    load(small, source, B, now=NOW + timedelta(hours=2))
    source.rows["AAA"] = original
    assert load(small, source, C, now=NOW + timedelta(hours=3)).appended.revised == 1
