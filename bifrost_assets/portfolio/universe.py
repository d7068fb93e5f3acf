"""What the book of a session may and must name: the universe as of that session, and what the account held lately."""

from __future__ import annotations

from datetime import date

import polars as pl

from bifrost_assets.asof import known_at
from bifrost_core.calendar import shift
from bifrost_core.reference import UNIVERSE
from bifrost_core.warehouse.warehouse import Warehouse

HELD_DAYS = 14  # calendar days: a sale that did not come about is asked for again on each of their sessions

# A symbol without a target is not touched, so what left the universe keeps a target, of 0, until it was sold.
TRADABLE = """
    with named as (
        select u.instrument_id from reference.universe_as_of($5, $1) u
        union
        select s.instrument_id
        from signals.target_batches b
        join signals.targets t using (batch_id)
        join reference.symbols s on s.symbol = t.symbol
            and b.valid_until::date >= s.valid_from and (s.valid_to is null or b.valid_until::date < s.valid_to)
        where b.account = $4 and b.as_of_session < $1 and b.as_of_session >= $1 - $6::integer and t.target_weight <> 0
    )
    select i.instrument_id, s.symbol, b.close, reference.is_restricted(i.instrument_id, $2) as is_restricted
    from named
    join reference.instruments i using (instrument_id)
    join raw.daily_bars_as_of($3) b using (instrument_id)
    join reference.symbols s on s.instrument_id = i.instrument_id
        and $2 >= s.valid_from and (s.valid_to is null or $2 < s.valid_to)
    where b.session = $1 and i.asset_class <> 'index'
    order by s.symbol
"""


def tradable(warehouse: Warehouse, session: date) -> pl.DataFrame:
    """Rows (instrument_id, symbol, close, is_restricted) that the batch of `session` has targets for.

    The universe's members of the session, and what the account's last batches held, with a bar of the session as known
    at its cutoff. Symbols and restrictions are those of the next session, in which the targets are traded; what is no
    longer listed then is left out.
    """
    settings = warehouse.settings
    following = shift(settings.exchange, session, 1).session
    known = known_at(settings, session)
    return warehouse.read(TRADABLE, session, following, known, settings.account, UNIVERSE, HELD_DAYS)
