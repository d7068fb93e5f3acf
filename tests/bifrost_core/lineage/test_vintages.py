"""Every version of a bar and of what happened to its share that day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import psycopg
import pytest

from bifrost_core.errors import BifrostError
from bifrost_core.lineage.vintages import as_lines, history
from bifrost_core.warehouse.warehouse import Warehouse

SESSION = date(2013, 2, 1)
KNOWN, FIRST, SECOND, THIRD = (datetime(2013, 2, day, 21, 15, tzinfo=UTC) for day in (1, 2, 5, 6))
BAR = """
    insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close, volume,
        provider, payload_sha256)
    values (%s, %s, %s, %s, 1, 2, 0.5, %s, 100, 'sample', %s)
"""
ENDED = "insert into raw.daily_bars_superseded values (%s, %s, %s, %s)"
ACTION = """
    insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind, price_factor, value,
        is_cancelled, provider, payload_sha256)
    values (%s, %s, %s, %s, 'split', 0.5, 2, %s, 'sample', 'd')
"""
LOAD = """
    insert into raw.loads (provider, instrument_id, first_session, last_session, loaded_at, content_sha256,
        changed_rows, held_rows, dagster_run_id)
    values ('sample', %s, %s, %s, %s, 'x', 1, '{}', 'run-7')
"""


@pytest.fixture
def stored(warehouse: Warehouse) -> Warehouse:
    """Instrument 1, FB: a bar, its correction, a split taken back; instrument 2 without any row."""
    with warehouse.transaction() as connection:
        for symbol in ("FB", "IBM"):
            connection.execute(
                "insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)"
                " values (%s, 'Facebook', 'equity', 'XNYS', 'USD')", (symbol,),
            )  # fmt: skip
        connection.execute(BAR, (1, SESSION, FIRST, KNOWN, 1.5, "a"))
        connection.execute(BAR, (1, SESSION, SECOND, SECOND, 1.6, "b"))
        connection.execute(ENDED, (1, SESSION, FIRST, SECOND))
        connection.execute(LOAD, (1, SESSION, SESSION, SECOND))
        connection.execute(ACTION, (1, SESSION, FIRST, KNOWN, False))
        connection.execute(ACTION, (1, SESSION, SECOND, SECOND, True))
    return warehouse


def text(connection: psycopg.Connection, symbol: str = "FB") -> list[str]:
    return list(as_lines(history(connection, symbol, SESSION)))


def test_every_version_is_told_with_its_time_and_origin(stored: Warehouse) -> None:
    """What was known when, and from which bytes, is asked when a number is doubted."""
    with stored.transaction() as connection:
        assert text(connection) == [
            "FB on 2013-02-01: instrument 1, Facebook",
            "  bar open 1 high 2 low 0.5 close 1.5 volume 100 · until 2013-02-05 21:15:00 UTC",
            "    known 2013-02-01 21:15:00 UTC · stored 2013-02-02 21:15:00 UTC · from sample · payload sha256:a",
            "  bar open 1 high 2 low 0.5 close 1.6 volume 100 · current",
            "    known 2013-02-05 21:15:00 UTC · stored 2013-02-05 21:15:00 UTC · from sample · run run-7"
            " · payload sha256:b",
            "  split 2 earlier prices x 0.5 · until 2013-02-05 21:15:00 UTC",
            "    known 2013-02-01 21:15:00 UTC · stored 2013-02-02 21:15:00 UTC · from sample · payload sha256:d",
            "  split 2 earlier prices x 0.5 · taken back",
            "    known 2013-02-05 21:15:00 UTC · stored 2013-02-05 21:15:00 UTC · from sample · run run-7"
            " · payload sha256:d",
        ]


def test_a_bar_that_was_withdrawn_is_no_current_one(stored: Warehouse) -> None:
    """It would pass for a price that somebody may trade on."""
    with stored.transaction() as connection:
        connection.execute(ENDED, (1, SESSION, SECOND, THIRD))
        found = history(connection, "FB", SESSION)
    assert [bar.state for bar in found.bars] == ["until 2013-02-05 21:15:00 UTC", "taken back 2013-02-06 21:15:00 UTC"]


def test_asked_by_the_symbol_of_then_or_of_now(stored: Warehouse) -> None:
    """The chart of today says META."""
    with stored.transaction() as connection:
        connection.execute("update reference.symbols set valid_to = '2022-06-09' where symbol = 'FB'")
        connection.execute("insert into reference.symbols values ('META', 'XNYS', 1, '2022-06-09', null)")
        assert text(connection, "META") == text(connection, "FB")
        assert history(connection, "FB", SESSION).subject.symbols == ["FB", "META"]


def test_what_there_is_not_is_said(stored: Warehouse) -> None:
    """Silence would be taken for "no such bar was traded"."""
    with stored.transaction() as connection:
        with pytest.raises(BifrostError, match="no instrument ever had the symbol XYZ"):
            history(connection, "XYZ", SESSION)
        with pytest.raises(BifrostError, match="nothing was ever stored of IBM in session 2013-02-01"):
            history(connection, "IBM", SESSION)
