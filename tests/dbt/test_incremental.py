"""Incremental facts against ones made from scratch, over random histories of a warehouse."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import polars as pl

from bifrost_core.calendar import sessions_between
from bifrost_core.warehouse.warehouse import Warehouse
from tests.dbt.builds import bad, build

SESSIONS = [s.session for s in sessions_between("XNYS", date(2012, 12, 10), date(2013, 1, 31))]
INSTRUMENTS = (1, 2, 3)
NEVER = "2100-01-01"  # a cutoff after all: everything is built from scratch, in schemas of its own
FACTS = ("fct_daily_bars", "fct_bar_revisions")
SELECTED = ("--select", "+fct_daily_bars", "+fct_bar_revisions", "--exclude-resource-type", "test")

BAR = """
    insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close, volume,
        provider, payload_sha256)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'test', 'p')
"""
SUPERSEDED = """
    insert into raw.daily_bars_superseded (instrument_id, session, ingested_at, superseded_at) values (%s, %s, %s, %s)
"""
ACTION = """
    insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind, price_factor,
        is_cancelled, provider, payload_sha256)
    values (%s, %s, %s, %s, %s, %s, %s, 'test', 'p')
"""


class Vendor:
    """Publishes, corrects, withdraws and brings back bars, and announces and cancels actions, by chance."""

    def __init__(self, warehouse: Warehouse, seed: int) -> None:
        self.warehouse = warehouse
        self.chance = random.Random(seed)
        self.clock = datetime(2013, 2, 1, tzinfo=UTC)
        self.published: dict[tuple[int, date], datetime] = {}

    def acts(self, times: int) -> None:
        moves = (self.publishes, self.publishes, self.corrects, self.withdraws, self.announces)
        for _ in range(times):
            self.clock += timedelta(seconds=self.chance.choice([1, 60, 3600]))
            self.chance.choice(moves)()

    def publishes(self) -> None:
        """One to five sessions of an instrument, in any order, some of them for the second time."""
        instrument = self.chance.choice(INSTRUMENTS)
        for session in self.chance.sample(SESSIONS, self.chance.randint(1, 5)):
            if (instrument, session) not in self.published:
                self._stores(instrument, session)

    def publishes_all(self, sessions: list[date]) -> None:
        for instrument in INSTRUMENTS:
            for session in sessions:
                self._stores(instrument, session)

    def corrects(self) -> None:
        if self.published:
            instrument, session = self._replaces()
            self._stores(instrument, session)

    def withdraws(self) -> None:
        if self.published:
            self._replaces()

    def announces(self) -> None:
        """A split or dividend, at times cancelled, at times where there is no bar."""
        factor = self.chance.choice([0.5, 0.99, 2.0, 1.0])
        kind = self.chance.choice(["split", "cash_dividend"])
        cancelled = self.chance.random() < 0.3
        session = self.chance.choice(SESSIONS)
        key = (self.chance.choice(INSTRUMENTS), session, self.clock, self.clock, kind, factor, cancelled)
        with self.warehouse.transaction() as connection:
            connection.execute(ACTION, key)

    def _replaces(self) -> tuple[int, date]:
        key = self.chance.choice(sorted(self.published))
        with self.warehouse.transaction() as connection:
            connection.execute(SUPERSEDED, (*key, self.published.pop(key), self.clock))
        return key

    def _stores(self, instrument: int, session: date) -> None:
        price = self.chance.uniform(10, 20)
        bar = (price, price * 1.1, price * 0.9, price * 1.01, float(self.chance.randint(1, 9)))
        self.published[instrument, session] = self.clock
        with self.warehouse.transaction() as connection:
            connection.execute(BAR, (instrument, session, self.clock, self.clock, *bar))


def instruments(warehouse: Warehouse) -> None:
    with warehouse.transaction() as connection:
        connection.execute(
            "insert into reference.instruments (instrument_id, symbol, name, asset_class, exchange_mic, currency)"
            " select n, 'S' || n, 'S', 'equity', 'XNYS', 'USD' from unnest(%s::int[]) n",
            (list(INSTRUMENTS),),
        )


def facts(warehouse: Warehouse, schema: str) -> list[pl.DataFrame]:
    return [
        warehouse.read(f"select t::text as row from {schema}.{fact} t order by instrument_id, session, ingested_at")
        for fact in FACTS
    ]


def test_a_chain_of_increments_equals_a_build_from_scratch(warehouse: Warehouse, owner: Warehouse) -> None:
    """A row that an increment forgets is wrong for ever, on every page, and nothing says so."""
    instruments(owner)
    vendor = Vendor(owner, seed=7)
    for night in range(3):
        vendor.acts(40)
        if night == 1:
            with owner.transaction() as connection:
                connection.execute("update reference.instruments set symbol = 'RENAMED' where instrument_id = 2")
        assert bad(build(warehouse, *SELECTED)) == {}
        build(warehouse, *SELECTED, stored_at=NEVER)
        for grown, made in zip(facts(warehouse, "marts"), facts(warehouse, "marts_as_of"), strict=True):
            assert made.height > 0
            assert grown.rows() == made.rows()
    grown = facts(warehouse, "marts")
    build(warehouse, *SELECTED, "--full-refresh")
    assert [one.rows() for one in facts(warehouse, "marts")] == [one.rows() for one in grown]


def test_a_night_writes_what_changed_and_a_changed_model_writes_all(warehouse: Warehouse, owner: Warehouse) -> None:
    """One that rewrites the table costs what the history costs; one over an older formula's rows keeps them."""
    instruments(owner)
    vendor = Vendor(owner, seed=1)
    vendor.publishes_all(SESSIONS[:-1])
    build(warehouse, *SELECTED)
    assert build(warehouse, *SELECTED)["fct_daily_bars"].rows == 0
    vendor.clock += timedelta(days=1)
    vendor.publishes_all(SESSIONS[-1:])
    assert build(warehouse, *SELECTED)["fct_daily_bars"].rows == len(INSTRUMENTS)
    with warehouse.transaction() as connection:
        connection.execute("comment on table marts.fct_daily_bars is 'built from another model'")
        connection.execute("update marts.fct_daily_bars set total_return = 42")
    build(warehouse, *SELECTED)
    assert warehouse.read("select count(*) from marts.fct_daily_bars where total_return = 42").item() == 0
