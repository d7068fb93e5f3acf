"""What is known of a symbol, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from bifrost_assets.market_data.reference.instruments import instrument_at

if TYPE_CHECKING:
    from psycopg import Connection

INSTRUMENT = """
    select i.*, e.name as exchange, e.timezone from reference.instruments i
    join reference.exchanges e on e.mic = i.exchange_mic
    where instrument_id = %(id)s
"""
SECTIONS = {
    "symbol": """
        select symbol || ' on ' || exchange_mic as what, valid_from, valid_to, '' as more
        from reference.symbols where instrument_id = %(id)s order by valid_from
    """,
    "member of": """
        select universe as what, valid_from, valid_to, '' as more
        from reference.universe_periods where instrument_id = %(id)s order by universe, valid_from
    """,
    "restricted": """
        select reason as what, valid_from, valid_to, 'blocks ' || blocks as more
        from reference.restricted_list where instrument_id = %(id)s order by valid_from
    """,
    "action": """
        select concat_ws(' ', kind, value, details ->> 'from', details ->> 'to') as what,
            ex_session as valid_from, ex_session + 1 as valid_to, 'told by ' || provider as more
        from raw.corporate_actions_as_of() where instrument_id = %(id)s and not is_cancelled
        order by ex_session desc limit 10
    """,
    "change": """
        select action || ' ' || subject as what, changed_at::date as valid_from, changed_at::date + 1 as valid_to,
            'by ' || actor as more
        from reference.changes where instrument_id = %(id)s order by change_id desc limit 10
    """,
}


def show(connection: Connection, symbol: str, on: date) -> Iterator[str]:
    """Lines on the instrument that `symbol` meant in session `on`: listing, and what else is known of it, by kind.

    Raises BifrostError where it meant none.
    """
    which = {"id": instrument_at(connection, symbol, on)}
    with connection.cursor(row_factory=dict_row) as cursor:
        one = cursor.execute(INSTRUMENT, which).fetchone()
        assert one is not None
        yield (
            f"{symbol} on {on}: instrument {one['instrument_id']}, {one['name']}, "
            f"{one['asset_class']} in {one['currency']}"
        )
        yield (
            f"  listed      {one['listed_from'] or 'an unknown day'} .. {one['listed_to'] or 'today'}, "
            f"now {one['symbol']} on {one['exchange_mic']} ({one['exchange']}, {one['timezone']})"
        )
        for kind, statement in SECTIONS.items():
            yield from (f"  {kind:<11} {_line(row)}" for row in cursor.execute(statement, which).fetchall())


def _line(row: dict[str, Any]) -> str:
    first, until = row["valid_from"], row["valid_to"]
    is_one_day = until is not None and (until - first).days == 1
    when = f"{first}" if is_one_day else f"{first} .. {until or ''}".rstrip()
    return "  ".join(filter(None, (when, row["what"], row["more"])))
