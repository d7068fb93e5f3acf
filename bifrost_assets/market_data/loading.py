"""One load of daily bars: portion by portion of the universe, going on where an attempt was cut short. No Dagster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from bifrost_assets.market_data import loads
from bifrost_assets.market_data.loads import Window
from bifrost_assets.market_data.portion import Load, Loaded, load_portion
from bifrost_assets.market_data.providers.base import BarProvider
from bifrost_assets.market_data.providers.spool import resuming
from bifrost_assets.market_data.reference import instrument_ids, symbols_to_load, update_universe
from bifrost_core.calendar import all_sessions, cutoff, latest_closed, sessions_between
from bifrost_core.errors import BifrostError

if TYPE_CHECKING:
    from bifrost_core.settings import Settings
    from bifrost_core.warehouse.warehouse import Warehouse

OVERLAP_SESSIONS = 5  # looked at again by every load: a bar may come late, and what it was may be corrected
ROWS_AT_ONCE = 250_000  # what bounds the memory of a load, however long its history
MANY = 50_000  # bars after which the planner has to learn of them, before the next step of the run reads them
Progress = Callable[[int, int], None]


def load_bars(
    warehouse: Warehouse,
    provider: BarProvider,
    first: date,
    last: date,
    run_id: str,
    now: datetime | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Loaded:
    """Load the window's bars and corporate actions of the universe and its benchmark.

    Some symbols at a time, so that memory is bounded; `progress` is told how many of how many symbols are done. What an
    attempt that was cut short has loaded is not fetched again. A symbol that fails is named in the result; raises
    ProviderError where all of them do, or the window is not over.
    """
    settings, at = warehouse.settings, now or datetime.now(UTC)
    _ensure_over(settings, last, at)
    load = Load(warehouse, provider, Window(provider.name, first, last, _start(settings, first)), now, run_id)
    with warehouse.transaction() as connection:
        symbols = symbols_to_load(connection, settings, first)
        attempt = loads.begin(connection, load.window, at, run_id)
        ids = instrument_ids(connection, first, last)
    todo = [symbol for symbol in symbols if ids.get(symbol) not in attempt.done]
    held = sum(map(Counter, attempt.done.values()), Counter[str]())
    total = Loaded(resumed=len(symbols) - len(todo), quarantined=held)
    for some in _portions(settings, todo, load.window):
        with resuming(provider):
            total += load_portion(load, some, is_first=not attempt.done and some[0] == todo[0])
        progress(len(symbols) - len(todo) + todo.index(some[-1]) + 1, len(symbols))
    with warehouse.transaction() as connection:
        members = update_universe(connection, settings.universe)
        if total.appended.inserted + total.appended.revised > MANY:
            connection.execute("analyze raw.daily_bars, raw.daily_bars_superseded")
        loads.finish(connection, attempt)
    return total + Loaded(members=members)


def _start(settings: Settings, first: date) -> date:
    """The session OVERLAP_SESSIONS before `first`, or the calendar's first."""
    before = [s.session for s in all_sessions(settings.exchange) if s.session <= first]
    return before[-OVERLAP_SESSIONS - 1 :][0]


def _portions(settings: Settings, symbols: Sequence[str], window: Window) -> Iterator[Sequence[str]]:
    """`symbols` in portions of at most ROWS_AT_ONCE bars."""
    sessions = len(sessions_between(settings.exchange, window.start, window.last))
    size = max(1, ROWS_AT_ONCE // sessions)
    for n in range(0, len(symbols), size):
        yield symbols[n : n + size]


def _ensure_over(settings: Settings, last: date, at: datetime) -> None:
    lag = timedelta(minutes=settings.availability_lag_minutes)
    if (newest := latest_closed(settings.exchange, at, lag).session) < last:
        known = cutoff(settings.exchange, last, lag)
        raise BifrostError(
            f"session {last} is not over: its bars are known from {known:%Y-%m-%d %H:%M} UTC on",
            f"Ask for sessions up to {newest}",
        )
