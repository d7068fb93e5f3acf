"""Decisions on quarantined rows against the real database: what each does to the bars, the record and the rights."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg
import pytest

from bifrost_assets.market_data import evidence
from bifrost_assets.market_data.bars import sift
from bifrost_assets.market_data.providers.base import BAR_SCHEMA
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_assets.market_data.quality import judging
from bifrost_assets.market_data.quality.settled import settle
from bifrost_core.calendar import sessions_between
from bifrost_core.quarantine import Decision, QuarantineError, decide, listed
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role, connect
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.market_data.storing import append_vintages

DAY = date(2013, 2, 14)
HELD = {"session": DAY, "open": 20000.0, "high": 20100.0, "low": 19900.0, "close": 20050.0, "volume": 4e6}
INSTRUMENT = """
    insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)
    values ('IBM', 'IBM', 'equity', 'XNYS', 'USD')
"""
CURRENT = (
    "select close, available_at, ingested_at from raw.daily_bars_as_of() where session = $1 and instrument_id = $2"
)


@pytest.fixture
def ibm(warehouse: Warehouse) -> int:
    """IBM's instrument_id, its bars from 2013-02-11 to 2013-02-15 stored."""
    sessions = sessions_between("XNYS", date(2013, 2, 11), date(2013, 2, 15))
    with warehouse.transaction() as connection:
        rows = [("XNYS", s.session, s.open_at, s.close_at, s.is_half_day) for s in sessions]
        connection.cursor().executemany("insert into reference.sessions values (%s, %s, %s, %s, %s)", rows)
        connection.execute(INSTRUMENT)
    [ibm] = warehouse.read("select instrument_id from reference.instruments")["instrument_id"].to_list()
    [fetched] = SampleProvider(warehouse.settings).fetch(["IBM"], sessions[0].session, sessions[-1].session).loaded
    known = {s.session: s.close_at for s in sessions}
    bars = fetched.bars.with_columns(
        instrument_id=pl.lit(ibm, pl.Int32),
        available_at=pl.col("session").replace_strict(known, return_dtype=pl.Datetime("us", "UTC")),
        provider=pl.lit("sample"),
        payload_sha256=pl.lit("0" * 64),
    )
    append_vintages(warehouse, bars)
    return int(ibm)


def hold(warehouse: Warehouse, **changes: object) -> int:
    """Put a bar of IBM in quarantine as a load does; its id."""
    schema = {**BAR_SCHEMA, "reason": pl.String}
    rows = pl.DataFrame([{**HELD, "vendor_adj_close": None, "reason": "scale", **changes}], schema=schema)
    with warehouse.transaction() as connection:
        evidence.keep_payloads(connection, "sample", [])
        evidence.quarantine(connection, [evidence.Held("IBM", rows, "sample", "0" * 64)], "run")
    return int(warehouse.read("select max(quarantine_id) from quarantine.rows").item())


def doubt(warehouse: Warehouse, ibm: int) -> int:
    """Flag the stored bar of IBM on DAY as a check does; the row's id."""
    bars = warehouse.read(judging.BARS, DAY, DAY).filter(pl.col("instrument_id") == ibm)
    with warehouse.transaction() as connection:
        assert judging.flag(connection, bars.with_columns(reason=pl.lit("it jumps")), "run") == 1
    return int(warehouse.read("select max(quarantine_id) from quarantine.rows").item())


def bars_of(warehouse: Warehouse, ibm: int) -> pl.DataFrame:
    """Session and OHLCV of the stored bar of IBM on DAY."""
    return warehouse.read(judging.BARS, DAY, DAY).filter(pl.col("instrument_id") == ibm).drop("instrument_id")


def count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.read(f"select count(*) from {table}").item())


def test_a_released_bar_is_stored_and_known_from_now_on(warehouse: Warehouse, ibm: int) -> None:
    """A signal of last week must not be recomputed from a bar that was released today."""
    before = datetime.now(UTC)
    row = hold(warehouse)
    assert decide(warehouse.settings, [row], Decision.RELEASE, "checked with the exchange", "ann") == 1
    [(close, available_at, ingested_at)] = warehouse.read(CURRENT, DAY, ibm).rows()
    assert close == 20050.0
    assert available_at == ingested_at
    assert available_at >= before
    old = warehouse.read("select close from raw.daily_bars_as_of($1) where session = $2", before, DAY)
    assert 20050.0 not in old["close"].to_list()


def test_a_dropped_bar_changes_nothing_that_is_stored(warehouse: Warehouse, ibm: int) -> None:
    """Dropping a bad row must not touch the good bar of its session."""
    before = warehouse.read(CURRENT, DAY, ibm).rows()
    assert decide(warehouse.settings, [hold(warehouse)], Decision.DROP, "pence", "ann") == 1
    assert warehouse.read(CURRENT, DAY, ibm).rows() == before


def test_a_dropped_doubt_withdraws_the_bar_and_keeps_it_for_the_past(warehouse: Warehouse, ibm: int) -> None:
    """A wrong bar that stays is used by every feature; one that is deleted cannot be replayed."""
    stored = datetime.now(UTC)
    assert decide(warehouse.settings, [doubt(warehouse, ibm)], Decision.DROP, "bad tick", "ann") == 1
    assert warehouse.read(CURRENT, DAY, ibm).is_empty()
    sql = "select count(*) from raw.daily_bars_as_of('infinity', $1) where session = $2 and instrument_id = $3"
    assert warehouse.read(sql, stored, DAY, ibm).item() == 1


def test_a_dropped_row_that_is_stored_is_withdrawn_though_it_was_held(warehouse: Warehouse, ibm: int) -> None:
    """A load judges the nights before again: the bar that it holds then stays in every feature, dropped or not."""
    stored = bars_of(warehouse, ibm)
    row = hold(warehouse, **stored.row(0, named=True))
    assert decide(warehouse.settings, [row], Decision.DROP, "bad tick", "ann") == 1
    assert warehouse.read(CURRENT, DAY, ibm).is_empty()


def test_dropping_the_second_copy_of_a_bar_keeps_the_first(warehouse: Warehouse, ibm: int) -> None:
    """They have the same values: the good bar would be withdrawn, and refused from then on."""
    stored = bars_of(warehouse, ibm)
    twice = pl.concat([stored, stored]).with_columns(symbol=pl.lit("IBM"), vendor_adj_close=pl.lit(None, pl.Float64))
    [reason] = sift(twice, [DAY], DAY).bad["reason"].to_list()
    row = hold(warehouse, **stored.row(0, named=True), reason=reason)
    assert decide(warehouse.settings, [row], Decision.DROP, "a copy", "ann") == 1
    assert warehouse.read(CURRENT, DAY, ibm).height == 1
    assert warehouse.read("select 1 from quarantine.decided_bars").is_empty()


def test_a_stale_row_does_not_overwrite_a_newer_bar(warehouse: Warehouse, ibm: int) -> None:
    """Who works through the list from the top would undo what the provider has mended since."""
    row = hold(warehouse)
    mended = warehouse.read("select * from raw.daily_bars_as_of() where session = $1 and instrument_id = $2", DAY, ibm)
    append_vintages(warehouse, mended.drop("ingested_at").with_columns(volume=pl.col("volume") + 1))
    before = warehouse.read(CURRENT, DAY, ibm).rows()
    with pytest.raises(QuarantineError, match=r"stored anew at .* after the row was held.*the newer bar stays"):
        decide(warehouse.settings, [row], Decision.RELEASE, "right", "ann")
    assert warehouse.read(CURRENT, DAY, ibm).rows() == before
    assert listed(warehouse)["status"].to_list() == ["held"]
    decide(warehouse.settings, [doubt(warehouse, ibm)], Decision.DROP, "the mended one is wrong", "ann")
    assert decide(warehouse.settings, [row], Decision.RELEASE, "right", "ann") == 1


def test_a_released_doubt_is_not_raised_again(warehouse: Warehouse, ibm: int) -> None:
    """Who has looked at a real crash does not want to look at it every night."""
    row = doubt(warehouse, ibm)
    decide(warehouse.settings, [row], Decision.RELEASE, "it was a real day", "ann")
    bars = warehouse.read(judging.BARS, DAY, DAY).filter(pl.col("instrument_id") == ibm)
    with warehouse.transaction() as connection:
        assert judging.flag(connection, bars.with_columns(reason=pl.lit("another reason")), "run") == 0
    assert warehouse.read(CURRENT, DAY, ibm).height == 1


def test_what_was_decided_is_known_when_it_comes_again(warehouse: Warehouse, ibm: int) -> None:
    """A re-pull would hold what was released, bring back what was withdrawn, and hold what was dropped as new."""
    decide(warehouse.settings, [hold(warehouse)], Decision.RELEASE, "right", "ann")
    decide(warehouse.settings, [hold(warehouse, close=19950.0)], Decision.DROP, "wrong", "ann")
    one = pl.DataFrame([HELD], schema={k: v for k, v in BAR_SCHEMA.items() if k in HELD})
    bar = one.with_columns(instrument_id=pl.lit(ibm, pl.Int32))
    other = bar.with_columns(close=pl.lit(19950.0))
    new = bar.with_columns(close=pl.lit(20075.0))
    with warehouse.transaction() as connection:
        settled = settle(connection, other, pl.concat([bar, other, new]).with_columns(reason=pl.lit("scale")))
    assert settled.bars["close"].to_list() == [20050.0]
    assert settled.held["close"].to_list() == [20075.0]
    assert (settled.released, settled.dropped) == (1, 2)


def test_each_decision_is_recorded_audited_and_marks_its_session(
    warehouse: Warehouse, owner: Warehouse, ibm: int
) -> None:
    """A decision that nobody can find is a change by nobody; without the mark the next load is skipped as unchanged."""
    row = hold(warehouse)
    decide(warehouse.settings, [row], Decision.RELEASE, "right", "ann")
    sql = "select was, decision, actor, because, row_sha256, instrument_id from quarantine.decisions"
    sha = warehouse.read("select row_sha256 from quarantine.rows where quarantine_id = $1", row).item()
    assert warehouse.read(sql).rows() == [("held", "released", "ann", "right", sha, ibm)]
    [(kind, payload)] = owner.read("select kind, payload::text from audit.chain where kind = 'quarantine'").rows()
    said = json.loads(payload)
    assert (kind, said["actor"], said["because"], said["decision"]) == ("quarantine", "ann", "right", "released")
    assert owner.read("select audit.verify()").item() is None
    marks = warehouse.read(
        "select instrument_id, first_session, last_session, changed_rows from raw.loads where content_sha256 = $1",
        "quarantine decision",
    )
    assert marks.rows() == [(ibm, DAY, DAY, 1)]


def test_a_decision_twice_is_one_and_another_is_refused(warehouse: Warehouse, ibm: int) -> None:
    """A double click must not store twice, and a second opinion must not overwrite the first in silence."""
    row = hold(warehouse)
    assert decide(warehouse.settings, [row], Decision.DROP, "wrong", "ann") == 1
    assert decide(warehouse.settings, [row], Decision.DROP, "wrong", "bob") == 0
    with pytest.raises(QuarantineError, match="was dropped by ann"):
        decide(warehouse.settings, [row], Decision.RELEASE, "right", "bob")
    assert count(warehouse, "quarantine.decisions") == 1


def test_all_of_the_rows_or_none(warehouse: Warehouse, ibm: int) -> None:
    """Half of a list decided is a list that nobody knows the state of."""
    row = hold(warehouse)
    with pytest.raises(QuarantineError, match="has no row 999"):
        decide(warehouse.settings, [row, 999], Decision.DROP, "wrong", "ann")
    assert listed(warehouse)["status"].to_list() == ["held"]
    assert count(warehouse, "quarantine.decisions") == 0


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({"close": None}, "a price or the volume is missing"),
    ({"open": float("nan")}, "a price or the volume is missing"),
    ({"low": -1.0}, "a price or the volume is not positive"),
    ({"high": 19000.0}, "low and high do not bound open and close"),
    ({"session": date(2013, 2, 16)}, "the exchange did not trade on that day"),
    ({"session": None}, "it has no session"),
]


def test_what_cannot_be_a_bar_is_not_released(warehouse: Warehouse, ibm: int) -> None:
    """A hurried release of an impossible row would break every suite from then on."""
    for changes, says in IMPOSSIBLE:
        row = hold(warehouse, **changes)
        with pytest.raises(QuarantineError, match="cannot be released") as refused:
            decide(warehouse.settings, [row], Decision.RELEASE, "right", "ann")
        assert says in str(refused.value)
        assert decide(warehouse.settings, [row], Decision.DROP, "wrong", "ann") == 1


@pytest.mark.parametrize(("because", "actor"), [(" ", "ann"), ("right", "")])
def test_a_decision_has_a_reason_and_a_name(server: Settings, because: str, actor: str) -> None:
    """An anonymous decision audits nothing."""
    with pytest.raises(QuarantineError, match="lacks"):
        decide(server, [1], Decision.DROP, because, actor)


@pytest.mark.parametrize("role", [Role.READER, Role.TRADER])
def test_who_only_reads_cannot_decide(server: Settings, role: Role) -> None:
    """The app's pages read as bifrost_reader: none of them may release a bar by accident."""
    with connect(server, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select quarantine.decide_v1('{1}', 'dropped', 'x', 'y', %s)", (timedelta(0),))


def test_not_even_the_pipeline_decides_past_the_record(server: Settings) -> None:
    """A status that changes without a decision cannot be audited."""
    for statement in (
        "update quarantine.rows set status = 'released'",
        "delete from quarantine.rows",
        "insert into quarantine.decisions (quarantine_id, was, decision, actor, because, row_sha256)"
        " values (1, 'held', 'dropped', 'x', 'y', 'z')",
    ):
        with connect(server, Role.PIPELINE) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_decisions_are_never_rewritten(owner: Warehouse, warehouse: Warehouse, ibm: int) -> None:
    """The record of who decided what is evidence."""
    decide(warehouse.settings, [hold(warehouse)], Decision.DROP, "wrong", "ann")
    for statement in ("update quarantine.decisions set actor = 'bob'", "truncate quarantine.decisions"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"), owner.transaction() as connection:
            connection.execute(statement)
