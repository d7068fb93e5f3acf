"""The dbt project on a real database: it builds, its unit tests hold, its identities catch what they are there for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_assets.warehouse_models.assets import PROJECT as PREPARED
from bifrost_assets.warehouse_models.project import PROJECT, fingerprint
from bifrost_core.warehouse.warehouse import Warehouse
from tests.dbt.builds import bad, build

FIRST, LAST = date(2013, 2, 11), date(2013, 2, 20)
FILLS = [  # session, side, symbol, quantity, price, commission; the daemon's clock is irrelevant here
    (date(2013, 2, 12), "buy", "IBM", 100, Decimal("200.10"), Decimal("1.00")),
    (date(2013, 2, 14), "buy", "MSFT", 300, Decimal("27.95"), Decimal("1.50")),
    (date(2013, 2, 19), "sell", "IBM", 40, Decimal("200.60"), Decimal("0.40")),
]


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """Real bars of seven sessions."""
    provider = provider_of(warehouse.settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    load_bars(warehouse, provider, FIRST, LAST, "run")
    return warehouse


@pytest.fixture
def traded(loaded: Warehouse, owner: Warehouse) -> Iterator[Warehouse]:
    """The same, with three fills in the daemon's book."""
    with owner.transaction() as connection:
        run = connection.execute
        run("insert into trading.accounts (account, broker, initial_cash) values ('paper', 'test', 100000)")
        cash = Decimal(100000)
        held: dict[str, Decimal] = {}
        for n, (session, side, symbol, quantity, price, commission) in enumerate(FILLS):
            order = (f"o{n}", symbol, side, quantity, price, session)
            run(
                "insert into trading.orders (client_order_id, account, batch_id, symbol, side, order_type,"
                " time_in_force,"
                " order_qty, reference_price, ord_status, created_at, updated_at)"
                " values (%s, 'paper', gen_random_uuid(), %s, %s, 'market', 'opg', %s, %s - 0.10, 'filled', %s, now())",
                order,
            )
            event = run(
                "insert into trading.order_events (client_order_id, account, kind, ord_status, epoch, event_at)"
                " values (%s, 'paper', 'fill', 'filled', 1, now()) returning event_seq",
                (f"o{n}",),
            ).fetchone()
            assert event is not None
            run(
                "insert into trading.fills (event_seq, broker, exec_id, client_order_id, account, symbol, side,"
                " last_qty, last_px, commission, session, event_at)"
                " values (%s, 'test', %s, %s, 'paper', %s, %s, %s, %s, %s, %s, now())",
                (event[0], f"e{n}", f"o{n}", symbol, side, quantity, price, commission, session),
            )
            signed = Decimal(quantity) * (1 if side == "buy" else -1)
            cash += -signed * price - commission
            held[symbol] = held.get(symbol, Decimal(0)) + signed
        run("insert into trading.cash (account, balance, updated_at) values ('paper', %s, now())", (cash,))
        for symbol, quantity in held.items():
            run(
                "insert into trading.positions (account, symbol, quantity, avg_cost, updated_at)"
                " values ('paper', %s, %s, 1, now())",
                (symbol, quantity),
            )
    yield loaded


def test_everything_builds_on_an_empty_warehouse(warehouse: Warehouse) -> None:
    """The first start, before any bar and any fill, would fail and block everything behind it."""
    assert bad(build(warehouse)) == {}


def test_everything_builds_and_every_unit_test_holds(traded: Warehouse) -> None:
    """A model, a data test or a unit test is broken."""
    assert bad(build(traded)) == {}
    results = build(traded, unit_tests=True)  # those of incremental models need the table to be there
    assert bad(results) == {}
    assert "a_split_is_no_loss_and_halves_the_prices_before_it" in results
    assert traded.read("select count(*) from marts.fct_daily_bars").item() == 42


def test_building_again_gives_the_same_rows(traded: Warehouse) -> None:
    """A mart that grows with every build counts its facts twice."""
    tables = [file.stem for file in (PROJECT / "models" / "marts").glob("*.sql")]
    seen = []
    for _ in range(2):
        build(traded)
        seen.append(
            [traded.read(f"select md5(string_agg(t::text, '|' order by t::text)) from marts.{t} t") for t in tables]
        )
    assert all(first.equals(again) for first, again in zip(*seen, strict=True))


def test_positions_and_cash_follow_from_fills_to_the_cent(traded: Warehouse) -> None:
    """Equity on every page would be wrong."""
    build(traded)
    positions = traded.read("select session, symbol, quantity::text, market_value::text from marts.fct_positions_daily")
    last = {row[1]: Decimal(row[2]) for row in positions.rows() if row[0] == LAST}
    assert last == {"IBM": 60, "MSFT": 300}
    rows = traded.read(
        "select session, cash::text, equity::text, daily_pnl::text from marts.fct_pnl_daily order by 1"
    ).rows()
    assert [row[0] for row in rows] == [date(2013, 2, d) for d in (12, 13, 14, 15, 19, 20)]
    cash = Decimal(100000) - 100 * Decimal("200.10") - 1
    assert Decimal(rows[0][1]) == Decimal(rows[1][1]) == cash
    assert sum(Decimal(row[3]) for row in rows) == Decimal(rows[-1][2]) - 100000
    ibm_close = traded.read(
        "select close from marts.fct_daily_bars where symbol = 'IBM' and session = '2013-02-12'"
    ).item()
    assert Decimal(rows[0][3]) == 100 * (Decimal(str(ibm_close)) - Decimal("200.10")) - 1


@pytest.mark.parametrize(
    ("statement", "test"),
    [
        ("update trading.cash set balance = balance + 0.01", "cash_ties_to_fills_and_the_daemons_book"),
        ("update trading.positions set quantity = quantity - 1 where symbol = 'IBM'", "positions_are_the_sum_of_fills"),
    ],
)
def test_a_book_that_does_not_tie_is_reported(traded: Warehouse, owner: Warehouse, statement: str, test: str) -> None:
    """An identity that cannot fail is no identity."""
    with owner.transaction() as connection:
        connection.execute(statement)
    results = build(traded)
    assert results[test].status == "warn"
    assert set(bad(results)) == {test}


def test_a_model_that_fails_is_named(loaded: Warehouse, owner: Warehouse) -> None:
    """A broken build would say 'dbt failed'."""
    with owner.transaction() as connection:
        connection.execute("alter table reference.instruments rename column name to called")
    results = build(loaded)
    assert results["stg_instruments"].status == "error"
    assert "name" in results["stg_instruments"].message
    assert results["fct_daily_bars"].status == "skipped"


SHAPES = """
    select c.table_schema, c.table_name, c.column_name,
        format_type(a.atttypid, a.atttypmod) as data_type
    from information_schema.columns c
    join pg_attribute a
        on a.attrelid = format('%I.%I', c.table_schema, c.table_name)::regclass and a.attname = c.column_name
    where c.table_schema in ('staging', 'intermediate', 'marts') order by c.ordinal_position
"""


def test_columns_in_the_docs_are_those_of_the_tables(loaded: Warehouse) -> None:
    """Documentation and tables drift apart: a reader asks for a column that is not there, or is another type."""
    build(loaded)
    real: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, data_type in loaded.read(SHAPES).rows():
        real.setdefault((schema, table), {})[column] = data_type
    manifest = json.loads(PREPARED.manifest_path.read_text())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    said = {(m["schema"], m["name"]): {c["name"]: c.get("data_type") for c in m["columns"].values()} for m in models}
    assert said.keys() == real.keys()
    for table, columns in said.items():
        assert list(columns) == list(real[table]), table
        typed = {name: kind.replace(", ", ",") for name, kind in columns.items() if kind}
        assert {name: kind for name, kind in typed.items() if kind != real[table][name]} == {}, table


VINTAGE = "instrument_id, session, ingested_at, close"


def revise(owner: Warehouse, session: str, factor: float) -> None:
    """The provider corrects every bar of the session, much later."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.daily_bars_superseded"
            " select instrument_id, session, ingested_at, '2100-02-01' from raw.daily_bars where session = %s",
            (session,),
        )
        connection.execute(
            "insert into raw.daily_bars select instrument_id, session, '2100-02-01', '2100-02-01', open * %(by)s,"
            " high * %(by)s, low * %(by)s, close * %(by)s, volume, vendor_adj_close, provider, payload_sha256"
            " from raw.daily_bars where session = %(session)s",
            {"by": factor, "session": session},
        )


def test_a_build_as_of_a_cutoff_shows_what_was_known_and_leaves_the_marts_alone(
    loaded: Warehouse, owner: Warehouse
) -> None:
    """Research on corrected prices trades on what nobody knew; and the app must never show the past as the present."""
    build(loaded)
    before = "select instrument_id, session, close from marts.fct_daily_bars where session < '2013-02-19' order by 1, 2"
    known = loaded.read(before)
    revise(owner, "2013-02-12", 1.5)
    build(loaded)
    assert loaded.read("select count(*), bool_and(close_change > 0.49) from marts.fct_bar_revisions").row(0) == (
        6,
        True,
    )
    now = loaded.read(before)
    assert not now.equals(known)
    assert bad(build(loaded, known_at="2013-02-16 00:00Z")) == {}
    assert loaded.read(before.replace("marts.", "marts_as_of.").replace("where", "where true or")).equals(known)
    assert loaded.read("select count(*) from marts_as_of.fct_bar_revisions").item() == 0
    assert loaded.read(before).equals(now)
    # dbt's rule of what is in force, and the database's, are written beside each other
    for schema, cutoff in (("staging", "infinity"), ("staging_as_of", "2013-02-16 00:00Z")):
        ours = loaded.read(f"select {VINTAGE} from {schema}.stg_bar_vintages where superseded_at is null order by 1, 2")
        theirs = loaded.read(f"select {VINTAGE} from raw.daily_bars_as_of('{cutoff}') order by 1, 2")
        assert ours.equals(theirs)


def test_a_position_over_a_split_is_still_the_sum_of_its_fills(traded: Warehouse, owner: Warehouse) -> None:
    """After a split every position would look halved in value, and the identity would cry wolf for ever."""
    with owner.transaction() as connection:
        connection.execute(
            "insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind,"
            " price_factor, value, provider, payload_sha256)"
            " select instrument_id, '2013-02-19', now(), now(), 'split', 0.5, 2, 'test', 'p'"
            " from reference.instruments where symbol = 'IBM'"
        )
    results = build(traded)
    assert results["positions_are_the_sum_of_fills"].status == "pass"
    held = "select quantity::text from marts.fct_positions_daily where symbol = 'IBM' order by session"
    assert [Decimal(q) for q in traded.read(held)["quantity"]] == [100, 100, 100, 100, 160, 160]
    with traded.transaction() as connection:
        connection.execute("update marts.fct_positions_daily set quantity = 60 where session = '2013-02-20'")
    assert (
        build(traded, "--select", "positions_are_the_sum_of_fills")["positions_are_the_sum_of_fills"].status == "warn"
    )


def test_the_readers_see_marts_and_cannot_write_them(loaded: Warehouse, reader: Warehouse) -> None:
    """The app would be blind after each rebuild: grants go with the table that dbt replaces."""
    build(loaded)
    build(loaded)
    assert reader.read("select count(*) from marts.fct_daily_bars").item() == 42
    with pytest.raises(Exception, match="permission denied"), reader.transaction() as connection:
        connection.execute("delete from marts.fct_daily_bars")


def test_a_changed_file_changes_the_fingerprint(tmp_path: Path) -> None:
    """Dagster would show yesterday's models."""
    import shutil

    copy = Path(shutil.copytree(PROJECT, tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target", "logs")))
    assert fingerprint(copy) == fingerprint(PROJECT)
    model = copy / "models" / "marts" / "dim_session.sql"
    model.write_text(model.read_text() + "\n-- changed\n")
    assert fingerprint(copy) != fingerprint(PROJECT)
