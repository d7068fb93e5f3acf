"""Changes of symbols and ends of listings, told by a person or a provider; each can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from bifrost_assets.market_data.providers.base import SymbolBars
from bifrost_assets.market_data.reference import told
from bifrost_assets.market_data.reference.changes import Change, record
from bifrost_assets.market_data.reference.instruments import instrument_at, keep_in_step
from bifrost_assets.market_data.reference.told import ListingAction, Told
from bifrost_core.calendar import all_sessions, session_of, shift
from bifrost_core.errors import BifrostError

if TYPE_CHECKING:
    from psycopg import Connection

    from bifrost_core.settings import Settings

LISTING = """
    select exchange_mic, listed_from::text, listed_to::text from reference.instruments
    where instrument_id = %s for update
"""
ALIASES = """
    select symbol, exchange_mic, valid_from::text, valid_to::text from reference.symbols
    where instrument_id = %s order by valid_from
"""
ALIASES_IN = """
    insert into reference.symbols (symbol, exchange_mic, instrument_id, valid_from, valid_to)
    select symbol, exchange_mic, %s, valid_from, valid_to
    from jsonb_to_recordset(%s) as alias(symbol text, exchange_mic text, valid_from date, valid_to date)
"""
WORTH = """
    select value from raw.corporate_actions_as_of()
    where instrument_id = %s and kind = 'delisting' and not is_cancelled
    order by ex_session desc limit 1
"""
LAST_CHANGE = """
    select action, subject, before from reference.changes
    where instrument_id = %s and action in ('rename', 'delist') and after = %s
    order by change_id desc limit 1
"""
STILL_LISTED = """
    select instrument_id from reference.instruments where instrument_id = any(%s) and listed_to is null
"""

State = dict[str, Any]  # exchange_mic, listed_from, listed_to and symbols, the aliases in order; dates as text


def rename(connection: Connection, settings: Settings, old: str, new: str, on: date, actor: str) -> bool:
    """From session `on` what was `old` is `new`; False where that is known already.

    Also tells of the past: where `new` is the only symbol that we know the instrument by, it was `old` before `on`.
    Raises BifrostError where neither is so, or another instrument has one of the symbols at that time.
    """
    instrument = _renamed(connection, old, new, on)
    before = _state(connection, instrument)
    session_of(before["exchange_mic"], on)
    after = {**before, "symbols": [piece for alias in before["symbols"] for piece in _split(alias, old, new, on)]}
    if not _is_renamed(after, old, new, on):
        raise BifrostError(
            f"instrument {instrument} did not change from {old} to {new} on {on}",
            f"`bifrost reference show {old} --on {on}` and `{new}` tell what it was",
        )
    if after == before:
        return False
    _apply(connection, instrument, after)
    action = ListingAction("symbol_change", on, details={"from": old, "to": new})
    said = Told.by_person(actor, "rename", old, to=new, on=on)
    told.append(connection, settings, before["exchange_mic"], instrument, action, said)
    record(connection, actor, Change("rename", f"{old} {new} {on}", before, after, instrument))
    return True


def delist(connection: Connection, settings: Settings, symbol: str, on: date, value: float | None, actor: str) -> bool:
    """From session `on` `symbol` is no longer traded; `value` is what a share was worth at the end, where known.

    Returns False where that is known already; raises BifrostError for another end than the known one.
    """
    if value is not None and not 0 <= value < float("inf"):
        raise BifrostError(f"a share cannot be worth {value}", "Give what its holder got for it, 0 for nothing")
    instrument = instrument_at(connection, symbol, on - timedelta(days=1))
    said = Told.by_person(actor, "delist", symbol, on=on, value=value)
    return _delist(connection, settings, instrument, symbol, ListingAction("delisting", on, value), said)


def record_delistings(
    connection: Connection, settings: Settings, provider: str, loaded: Iterable[SymbolBars], ids: Mapping[str, int]
) -> dict[str, str]:
    """Write down the delistings that `provider` reports with its bars, of instruments still listed.

    `ids` are the instruments of the symbols, as the load resolved them. Returns the symbols of which it cannot be
    written down, with the problem; nothing is changed of those.
    """
    ended = {ids[one.symbol]: (one, one.listed_to) for one in loaded if one.listed_to and one.symbol in ids}
    known = [row[0] for row in connection.execute(STILL_LISTED, (list(ended),)).fetchall()] if ended else []
    failed = {}
    for instrument in known:
        one, last = ended[instrument]
        said = Told.by_provider(provider, one.payload)
        try:
            with connection.transaction():
                action = ListingAction("delisting", _session_after(settings.exchange, last))
                _delist(connection, settings, instrument, one.symbol, action, said)
        except BifrostError as error:
            failed[one.symbol] = f"its delisting on {last} is not written down: {error}"
    return failed


def undo(connection: Connection, symbol: str, on: date, actor: str) -> str:
    """Take back the last rename or delisting of what `symbol` meant in session `on`; returns what was undone.

    Everything is as before it, and the corporate action gets a cancelled vintage. Raises BifrostError where there is
    none, or something that it changed was changed since.
    """
    instrument = instrument_at(connection, symbol, on)
    now = _state(connection, instrument)
    row = connection.execute(LAST_CHANGE, (instrument, Jsonb(now))).fetchone()
    if row is None:
        raise BifrostError(
            f"no rename or delisting of {symbol} to undo", f"`bifrost reference show {symbol}` lists its changes"
        )
    action, subject, before = row
    _apply(connection, instrument, before)
    kind = "symbol_change" if action == "rename" else "delisting"
    said = Told.by_person(actor, f"undo {action}", symbol, undone=subject)
    told.cancel(connection, instrument, kind, date.fromisoformat(subject.split()[-1]), said)
    change = Change("undo rename" if action == "rename" else "undo delist", subject, now, before, instrument)
    record(connection, actor, change)
    return f"{action} {subject}"


def _renamed(connection: Connection, old: str, new: str, on: date) -> int:
    """The instrument that is `old` before `on`, or `new` from it on."""
    row = connection.execute(
        "select coalesce(reference.instrument_of(%s, %s), reference.instrument_of(%s, %s))",
        (old, on - timedelta(days=1), new, on),
    ).fetchone()
    if row is None or row[0] is None:
        raise BifrostError(
            f"no instrument was {old} before {on}, or {new} from then on",
            "Register it first: name it in BIFROST_UNIVERSE and run the nightly job",
        )
    return int(row[0])


def _split(alias: Mapping[str, Any], old: str, new: str, on: date) -> list[dict[str, Any]]:
    """An alias as it is after the rename: cut at `on`, where it is of that day and of either symbol."""
    day = str(on)
    if not (alias["symbol"] in (old, new) and alias["valid_from"] < day and (alias["valid_to"] or "9999") > day):
        return [dict(alias)]
    return [{**alias, "symbol": old, "valid_to": day}, {**alias, "symbol": new, "valid_from": day}]


def _is_renamed(state: State, old: str, new: str, on: date) -> bool:
    ended = any((a["symbol"], a["valid_to"]) == (old, str(on)) for a in state["symbols"])
    return ended and any((a["symbol"], a["valid_from"]) == (new, str(on)) for a in state["symbols"])


def _session_after(mic: str, day: date) -> date:
    """The first session after `day`, which need not be one itself."""
    after = next((s.session for s in all_sessions(mic) if s.session > day), None)
    if after is None:
        raise BifrostError(f"{mic} has no session after {day}", "Delist it by hand once the calendar covers that day")
    return after


def _delist(
    connection: Connection, settings: Settings, instrument: int, symbol: str, action: ListingAction, said: Told
) -> bool:
    before, on = _state(connection, instrument), str(action.ex_session)
    mic = before["exchange_mic"]
    last = str(shift(mic, action.ex_session, -1).session)
    if before["listed_to"] is not None:
        worth = connection.execute(WORTH, (instrument,)).fetchone()
        if before["listed_to"] == last and worth == (action.value,):
            return False
        raise BifrostError(
            f"{symbol} is delisted already, last traded on {before['listed_to']}",
            f"If that is wrong, `bifrost reference undo {symbol} --on {before['listed_to']}` first",
        )
    if before["listed_from"] is not None and last < before["listed_from"]:
        raise BifrostError(f"{symbol} was listed only on {before['listed_from']}", "Give a later session")
    kept = [alias for alias in before["symbols"] if alias["valid_from"] < on]
    if not kept:
        raise BifrostError(f"nobody was {symbol} before {on}", "Give a later session")
    after = {**before, "listed_to": last, "symbols": [*kept[:-1], {**kept[-1], "valid_to": on}]}
    _apply(connection, instrument, after)
    told.append(connection, settings, mic, instrument, action, said)
    record(connection, said.actor, Change("delist", f"{symbol} {on}", before, after, instrument))
    return True


def _state(connection: Connection, instrument: int) -> State:
    """What is known of an instrument's listing; locks it until the end of the transaction."""
    with connection.cursor(row_factory=dict_row) as cursor:
        listing = cursor.execute(LISTING, (instrument,)).fetchone() or {}
        return {**listing, "symbols": cursor.execute(ALIASES, (instrument,)).fetchall()}


def _apply(connection: Connection, instrument: int, state: State) -> None:
    """Make aliases and the end of the listing those of `state`."""
    connection.execute("delete from reference.symbols where instrument_id = %s", (instrument,))
    try:
        connection.execute(ALIASES_IN, (instrument, Jsonb(state["symbols"])))
        ended = "update reference.instruments set listed_to = %s where instrument_id = %s"
        connection.execute(ended, (state["listed_to"], instrument))
        keep_in_step(connection)
    except (psycopg.errors.ExclusionViolation, psycopg.errors.UniqueViolation) as error:
        names = ", ".join(dict.fromkeys(alias["symbol"] for alias in state["symbols"]))
        raise BifrostError(
            f"another instrument is one of {names} at that time", "`bifrost reference show` tells which"
        ) from error
