"""The restricted list: what must not be traded, from when until when, and why."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from bifrost_assets.market_data.reference.changes import Change, record
from bifrost_assets.market_data.reference.instruments import instrument_at
from bifrost_core.errors import BifrostError
from bifrost_core.reference import Blocks

if TYPE_CHECKING:
    from psycopg import Connection

RESTRICTED_IN = """
    insert into reference.restricted_list (instrument_id, valid_from, valid_to, reason, blocks)
    values (%s, %s, %s, %s, %s)
"""
ROWS = """
    select valid_from::text, valid_to::text, reason, blocks from reference.restricted_list
    where instrument_id = %s order by valid_from
"""
NEVER_BEGAN = "delete from reference.restricted_list where instrument_id = %(id)s and valid_from >= %(on)s"
ENDED = """
    update reference.restricted_list set valid_to = %(on)s
    where instrument_id = %(id)s and valid_from < %(on)s and (valid_to is null or valid_to > %(on)s)
"""


def restrict(
    connection: Connection,
    symbol: str,
    first: date,
    until: date | None,
    reason: str,
    actor: str,
    blocks: Blocks = Blocks.OPENING,
) -> None:
    """Put what `symbol` means in session `first` on the list, until `until` (exclusive; None: until further notice).

    Positions may still be closed, unless it blocks everything.

    Raises BifrostError where it is on the list already within that time, or the time is none.
    """
    if until is not None and until <= first:
        raise BifrostError(f"{until} is not after {first}", "Give the first session in which it may be traded again")
    instrument = instrument_at(connection, symbol, first)
    before = restrictions(connection, instrument)
    try:
        connection.execute(RESTRICTED_IN, (instrument, first, until, reason, blocks))
    except (psycopg.errors.ExclusionViolation, psycopg.errors.UniqueViolation) as error:
        held = "; ".join(f"from {row['valid_from']} until {row['valid_to'] or 'further notice'}" for row in before)
        raise BifrostError(
            f"{symbol} is on the restricted list already: {held}", "`bifrost reference unrestrict` it first"
        ) from error
    record(connection, actor, Change("restrict", symbol, before, restrictions(connection, instrument), instrument))


def unrestrict(connection: Connection, symbol: str, on: date, actor: str) -> None:
    """Allow trading again from session `on`; raises BifrostError where nothing forbids it from then on."""
    instrument = instrument_at(connection, symbol, on)
    before, which = restrictions(connection, instrument), {"id": instrument, "on": on}
    ended = connection.execute(NEVER_BEGAN, which).rowcount + connection.execute(ENDED, which).rowcount
    if not ended:
        raise BifrostError(f"{symbol} is not restricted from {on} on", f"`bifrost reference show {symbol}` tells more")
    record(connection, actor, Change("unrestrict", symbol, before, restrictions(connection, instrument), instrument))


def restrictions(connection: Connection, instrument: int) -> list[dict[str, Any]]:
    """All rows of an instrument, past ones too: valid_from, valid_to (exclusive), reason, blocks."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(ROWS, (instrument,)).fetchall()
