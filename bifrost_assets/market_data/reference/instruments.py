"""Instruments: stable ids, and the symbols that lead to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bifrost_assets.market_data.providers.base import BarProvider, Listing, SymbolError
from bifrost_assets.market_data.reference.changes import Change, record
from bifrost_core.errors import BifrostError, ProviderError

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

INSTRUMENT_IN = """
    insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency, listed_from)
    values (%s, %s, %s, %s, %s, %s)
"""
# The symbol's holder at the end of the window, or the last one in it; else, for vendors that know an instrument's whole
# past under its symbol of today, the first one after it.
IDS = """
    select distinct on (symbol) symbol, instrument_id
    from reference.symbols
    where valid_to is null or valid_to > %(first)s
    order by symbol, valid_from > %(last)s, abs(valid_from - %(last)s)
"""
IDS_NOW = "select symbol, instrument_id from reference.symbols where valid_to is null"
IN_STEP = """
    update reference.instruments i set symbol = s.symbol, exchange_mic = s.exchange_mic
    from reference.symbols s
    where s.instrument_id = i.instrument_id
        and current_date >= s.valid_from and (s.valid_to is null or current_date < s.valid_to)
        and (i.symbol, i.exchange_mic) is distinct from (s.symbol, s.exchange_mic)
"""
# Symbols that nobody has in the session or after it, with what their last holder is in it: null where it is delisted.
ENDED = """
    select symbol, reference.symbol_of(instrument_id, %(session)s)
    from reference.meant_by(%(symbols)s, %(session)s) as meant
    where not exists (
        select from reference.symbols s
        where s.symbol = meant.symbol and (s.valid_to is null or s.valid_to > %(session)s)
    )
"""
SPANS = """
    select instrument_id, valid_from, valid_to from reference.symbols where symbol = %s order by valid_from
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """New instruments, and symbols that the provider does not know."""

    added: tuple[str, ...]
    failed: tuple[SymbolError, ...]


def wanted_symbols(settings: Settings) -> tuple[str, ...]:
    """The universe and the benchmark index, each once."""
    return tuple(dict.fromkeys((*settings.universe, settings.benchmark)))


def symbols_to_load(connection: psycopg.Connection, settings: Settings, first: date) -> tuple[str, ...]:
    """The wanted symbols that may have bars in session `first` or later, as `symbols_in` has them."""
    return symbols_in(connection, wanted_symbols(settings), first)


def symbols_in(connection: psycopg.Connection, wanted: Sequence[str], session: date) -> tuple[str, ...]:
    """`wanted`, each once: one renamed by `session` as what its instrument is in it, none that is delisted by then."""
    rows = connection.execute(ENDED, {"symbols": list(wanted), "session": session}).fetchall()
    ended: dict[str, str | None] = dict(rows)
    followed = (ended.get(symbol, symbol) for symbol in wanted)
    return tuple(dict.fromkeys(symbol for symbol in followed if symbol is not None))


def register_instruments(warehouse: Warehouse, provider: BarProvider) -> Registered:
    """Give every wanted symbol that never meant anything an instrument; the provider is asked only about those.

    A symbol whose instrument was renamed or delisted is not given away again unasked: see `register_again`.
    """
    settings = warehouse.settings
    with warehouse.transaction() as connection:
        keep_in_step(connection)
        new = _unknown(connection, wanted_symbols(settings))
    answers = provider.listings(new) if new else {}
    found = [answer for answer in answers.values() if isinstance(answer, Listing)]
    if found:
        with warehouse.transaction() as connection:
            _insert(connection, found, settings.exchange)
    failed = tuple(answer for answer in answers.values() if isinstance(answer, SymbolError))
    return Registered(tuple(one.symbol for one in found), failed)


def register_again(warehouse: Warehouse, provider: BarProvider, symbol: str, actor: str) -> int:
    """A new instrument under a symbol that another one had before; returns its id.

    Raises BifrostError while the other one still has it, ProviderError where the provider does not know it.
    """
    listing = provider.listings([symbol])[symbol]
    if isinstance(listing, SymbolError):
        raise ProviderError(listing.problem, "Correct the symbol, or set another BIFROST_PROVIDER")
    with warehouse.transaction() as connection:
        if (holder := instrument_ids(connection).get(symbol)) is not None:
            raise BifrostError(
                f"{symbol} is instrument {holder}", "End that first: `bifrost reference rename` or `delist`"
            )
        _insert(connection, [listing], warehouse.settings.exchange)
        instrument = instrument_ids(connection)[symbol]
        after = {"name": listing.name, "listed_from": str(listing.listed_from or "")}
        record(connection, actor, Change("register", symbol, None, after, instrument))
    return instrument


def keep_in_step(connection: psycopg.Connection) -> None:
    """Make `instruments.symbol` the alias of today: a change of symbol may have been told ahead of its day."""
    connection.execute(IN_STEP)


def instrument_ids(
    connection: psycopg.Connection, session: date | None = None, last: date | None = None
) -> dict[str, int]:
    """instrument_id by symbol: of what is listed now, or of sessions `session` to `last` (default: that one).

    A symbol that changed hands means its last holder in the window. One that nobody had yet means its first holder
    after it. One that ended before the window is left out: what a vendor sends under it belongs to somebody else.
    """
    if session is None:
        return dict(connection.execute(IDS_NOW).fetchall())
    return dict(connection.execute(IDS, {"first": session, "last": last or session}).fetchall())


def instrument_at(connection: psycopg.Connection, symbol: str, session: date) -> int:
    """The instrument that `symbol` means in `session`; raises BifrostError with what it meant when, where none."""
    row = connection.execute("select reference.instrument_of(%s, %s)", (symbol, session)).fetchone()
    if row and row[0] is not None:
        return int(row[0])
    spans = connection.execute(SPANS, (symbol,)).fetchall()
    meant = "; ".join(f"instrument {one} from {since} until {until or 'today'}" for one, since, until in spans)
    unknown = "`bifrost db psql -- -c 'select * from reference.symbols'` lists all there are"
    remedy = f"It was {meant}: give one of those days" if meant else unknown
    raise BifrostError(f"{symbol} meant no instrument on {session}", remedy)


def _unknown(connection: psycopg.Connection, symbols: Iterable[str]) -> list[str]:
    known = {row[0] for row in connection.execute("select distinct symbol from reference.symbols").fetchall()}
    return [symbol for symbol in symbols if symbol not in known]


def _insert(connection: psycopg.Connection, listings: Iterable[Listing], mic: str) -> None:
    """Insert those that are still not there, whoever else registers at the same time."""
    connection.execute("lock table reference.instruments in share row exclusive mode")
    _ensure_exchange(connection, mic)
    known = instrument_ids(connection)
    rows = [
        (one.symbol, one.name, one.asset_class, mic, one.currency, one.listed_from)
        for one in listings
        if one.symbol not in known
    ]
    connection.cursor().executemany(INSTRUMENT_IN, rows)


def _ensure_exchange(connection: psycopg.Connection, mic: str) -> None:
    known = [row[0] for row in connection.execute("select mic from reference.exchanges order by mic").fetchall()]
    if mic not in known:
        raise BifrostError(
            f"reference.exchanges has no {mic}", f"Set BIFROST_EXCHANGE to one of {', '.join(known)}, or add it there"
        )
