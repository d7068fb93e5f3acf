"""A portion of a load: some symbols fetched, sifted, compared with what came before, and stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data import evidence, loads
from bifrost_assets.market_data.action_vintages import Source, store_actions
from bifrost_assets.market_data.actions import find_actions
from bifrost_assets.market_data.batch import Batch, batch_of
from bifrost_assets.market_data.evidence import Held
from bifrost_assets.market_data.loads import Outcome, Window
from bifrost_assets.market_data.providers.base import BarProvider, Fetched, ProviderDown, SymbolError
from bifrost_assets.market_data.reference import instrument_ids
from bifrost_assets.market_data.vintages import Appended, append_vintages
from bifrost_core.errors import ProviderError

if TYPE_CHECKING:
    import psycopg

    from bifrost_core.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, symbol by symbol where something was wrong.

    `late` counts stored bars of sessions before the window, `resumed` the symbols that an earlier attempt had loaded.
    """

    appended: Appended = field(default_factory=Appended)
    actions: int = 0
    members: int = 0
    payloads: int = 0
    late: int = 0
    resumed: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(
            self.appended + other.appended,
            self.actions + other.actions,
            self.members + other.members,
            self.payloads + other.payloads,
            self.late + other.late,
            self.resumed + other.resumed,
            self.quarantined + other.quarantined,
            self.failed | other.failed,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """One call of load_bars."""

    warehouse: Warehouse
    provider: BarProvider
    window: Window
    at: datetime
    run_id: str


def load_portion(load: Load, symbols: Sequence[str], *, is_first: bool) -> Loaded:
    """Load `symbols`; raises ProviderError where they are the first and each of them failed."""
    window, settings = load.window, load.warehouse.settings
    fetched = load.provider.fetch(symbols, window.start, window.last)
    with load.warehouse.transaction() as connection:
        ids = instrument_ids(connection)
        contents = {ids[one.symbol]: loads.content_of(one) for one in fetched.loaded if one.symbol in ids}
        same = loads.unchanged(connection, window, contents)
        fresh = Fetched(tuple(one for one in fetched.loaded if ids.get(one.symbol) not in same), fetched.failed)
        batch = batch_of(settings, fresh, ids, window, loads.asked_before(connection, settings.exchange, window))
        payloads = evidence.keep_payloads(connection, window.provider, (one.payload for one in fresh.loaded))
        newly_held = evidence.quarantine(connection, batch.held, load.run_id)
    if is_first and not same and len(batch.failed) == len(symbols):
        raise _all_failed(load.provider, batch.failed)
    appended = append_vintages(load.warehouse, batch.bars, load.at)
    with load.warehouse.transaction() as connection:
        actions, refused = _store_actions(connection, load, batch, fresh, ids)
        newly_held += evidence.quarantine(connection, refused, load.run_id)
        outcomes = _outcomes(batch, fresh, ids, contents, window, appended.by_instrument + actions)
        loads.record(connection, window, outcomes, load.at, load.run_id)
    late_held = Counter(reason for session, reason in newly_held if session and session < window.first)
    return Loaded(
        appended + Appended(unchanged=_rows_of(fetched, fresh, window)),
        actions=actions.total(),
        payloads=payloads,
        late=sum(n for session, n in appended.by_session.items() if session < window.first),
        quarantined=_reasons((*batch.held, *refused), window) + late_held + sum(map(Counter, same.values()), Counter()),
        failed={one.symbol: one.problem for one in batch.failed},
    )


def _rows_of(fetched: Fetched, fresh: Fetched, window: Window) -> int:
    """Bars of the window of the symbols that came as they had come before."""
    compared = {one.symbol for one in fresh.loaded}
    same = [one.bars["session"] for one in fetched.loaded if one.symbol not in compared]
    return sum(int(sessions.is_between(window.first, window.last).sum()) for sessions in same)


def _all_failed(provider: BarProvider, failed: Sequence[SymbolError]) -> ProviderError:
    problems = "; ".join(dict.fromkeys(one.problem for one in failed))
    kind = ProviderDown if any(one.is_transient for one in failed) else ProviderError
    return kind(
        f"provider {provider.name!r} has no bars for any of {', '.join(one.symbol for one in failed)}: {problems}",
        "Check the network and BIFROST_UNIVERSE, then run the partition again: no good row was lost",
    )


def _store_actions(
    connection: psycopg.Connection, load: Load, batch: Batch, fresh: Fetched, ids: Mapping[str, int]
) -> tuple[Counter[int], list[Held]]:
    """Store the actions of the stored bars' sessions; returns how many by instrument, and what was held back."""
    if batch.history.is_empty():
        return Counter(), []
    named = {ids[one.symbol]: one.actions for one in fresh.loaded if one.actions is not None and one.symbol in ids}
    found, bad = find_actions(batch.history, named, load.provider.price_unit)
    payloads = {ids[one.symbol]: (one.symbol, one.payload.sha256) for one in fresh.loaded if one.symbol in ids}
    refused = [
        Held(payloads[one][0], rows, load.window.provider, payloads[one][1], evidence.ACTIONS)
        for one, rows in bad.items()
    ]
    stored = store_actions(connection, found, batch.bars, Source(load.window.provider, load.at))
    return Counter(stored), refused


def _outcomes(
    batch: Batch,
    fresh: Fetched,
    ids: Mapping[str, int],
    contents: Mapping[int, str],
    window: Window,
    changed: Counter[int],
) -> Iterator[tuple[int, Outcome]]:
    """What became of each instrument that was compared, or that failed."""
    held: dict[str, list[Held]] = {}
    for one in batch.held:
        held.setdefault(one.symbol, []).append(one)
    problems = {one.symbol: one.problem for one in batch.failed}
    for symbol in dict.fromkeys((*(one.symbol for one in fresh.loaded), *problems)):
        if (instrument := ids.get(symbol)) is not None:
            reasons = _reasons(held.get(symbol, ()), window)
            yield instrument, Outcome(contents.get(instrument, ""), changed[instrument], reasons, problems.get(symbol))


def _reasons(held: Iterable[Held], window: Window) -> Counter[str]:
    """Rows held back of the window's sessions, by reason."""
    counts: Counter[str] = Counter()
    for one in held:
        day = pl.col("ex_session" if one.source == evidence.ACTIONS else "session")
        counts.update(one.rows.filter(day.is_null() | (day >= window.first))["reason"])
    return counts
