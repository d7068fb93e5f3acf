"""A portion of a load: some symbols fetched, sifted, compared with what came before, and stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from bifrost_assets.market_data import evidence, loads
from bifrost_assets.market_data.action_vintages import Source, store_actions
from bifrost_assets.market_data.actions import find_actions, spoken_for
from bifrost_assets.market_data.batch import Batch, batch_of, without_last
from bifrost_assets.market_data.evidence import Held
from bifrost_assets.market_data.loads import Outcome, Window
from bifrost_assets.market_data.providers.base import BAR_SCHEMA, BarProvider, Fetched, ProviderDown, SymbolError
from bifrost_assets.market_data.quality.admission import admit
from bifrost_assets.market_data.reference import instrument_ids, record_delistings
from bifrost_assets.market_data.vintages import KEY as VINTAGE_KEY
from bifrost_assets.market_data.vintages import Appended, append_vintages, take_turn
from bifrost_core.errors import ProviderError

if TYPE_CHECKING:
    from bifrost_core.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, symbol by symbol where something was wrong.

    `late` counts stored bars of sessions before the window, `resumed` the symbols that an earlier attempt had loaded,
    `dropped` the bars that a person had refused before.
    """

    appended: Appended = field(default_factory=Appended)
    actions: int = 0
    members: int = 0
    payloads: int = 0
    late: int = 0
    resumed: int = 0
    dropped: int = 0
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
            self.dropped + other.dropped,
            self.quarantined + other.quarantined,
            self.failed | other.failed,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """One call of load_bars; `at` is when its rows count as stored, if not when they are."""

    warehouse: Warehouse
    provider: BarProvider
    window: Window
    at: datetime | None
    run_id: str


def load_portion(load: Load, symbols: Sequence[str], *, is_first: bool) -> Loaded:
    """Load `symbols`; raises ProviderError where they are the first and each of them failed."""
    window, settings = load.window, load.warehouse.settings
    fetched = load.provider.fetch(symbols, window.start, window.last)
    with load.warehouse.transaction() as connection:
        ids = instrument_ids(connection, window.start, window.last)
        rules = loads.rules_of(settings, load.provider.price_unit)
        contents = {ids[one.symbol]: loads.content_of(one, rules) for one in fetched.loaded if one.symbol in ids}
        same = loads.unchanged(connection, window, contents)
    fresh = Fetched(tuple(one for one in fetched.loaded if ids.get(one.symbol) not in same), fetched.failed)
    compared = [ids[one.symbol] for one in fresh.loaded if one.symbol in ids]
    asked = loads.asked_before(load.warehouse, window, compared, load.at or datetime.now(UTC))
    admitted = _admitted(load, batch_of(settings, fresh, ids, window, asked), fresh, ids)
    batch = without_last(admitted.batch, fresh.loaded, window, ids)
    with load.warehouse.transaction() as connection:
        payloads = evidence.keep_payloads(connection, window.provider, (one.payload for one in fresh.loaded))
        newly_held = evidence.quarantine(connection, batch.held, load.run_id)
    if is_first and not same and len(batch.failed) == len(symbols):
        raise _all_failed(load.provider, batch.failed)
    told = spoken_for(batch.history, admitted.named) if batch.history.height else batch.bars
    with load.warehouse.transaction() as connection:  # one commit: what is stored is on record as loaded
        at = load.at or take_turn(connection)
        appended = append_vintages(load.warehouse, connection, batch.bars.drop("is_overlap", strict=False), at)
        spoken = batch.bars.join(told, on=VINTAGE_KEY, how="semi") if batch.bars.height else batch.bars
        actions = Counter(store_actions(connection, admitted.actions, spoken, Source(window.provider, at)))
        refused = record_delistings(connection, settings, window.provider, fetched.loaded, ids)
        batch = replace(batch, failed=(*batch.failed, *(SymbolError(*one) for one in refused.items())))
        outcomes = _outcomes(batch, fresh, ids, contents, window, appended.by_instrument + actions)
        loads.record(connection, window, outcomes, at, load.run_id)
    late_held = Counter(reason for session, reason in newly_held if session and session < window.first)
    return Loaded(
        appended + Appended(unchanged=_rows_of(fetched, fresh, window)),
        actions=actions.total(),
        payloads=payloads,
        late=sum(n for session, n in appended.by_session.items() if session < window.first),
        dropped=admitted.dropped,
        quarantined=_reasons(batch.held, window) + late_held + sum(map(Counter, same.values()), Counter()),
        failed={one.symbol: one.problem for one in batch.failed},
    )


@dataclass(frozen=True, slots=True)
class _Admitted:
    """What may be stored: `batch` with what is held beside it, the `actions` of its bars; how many were `dropped`.

    `named` are the instruments whose actions the provider names.
    """

    batch: Batch
    actions: pl.DataFrame
    named: Collection[int] = ()
    dropped: int = 0


def _admitted(load: Load, batch: Batch, fresh: Fetched, ids: Mapping[str, int]) -> _Admitted:
    """`batch` less the bars that the gate holds or a person dropped, and the actions found in what is left."""
    if batch.history.is_empty():
        return _Admitted(batch, pl.DataFrame())
    loaded = [one for one in fresh.loaded if one.symbol in ids]
    named = {ids[one.symbol]: one.actions for one in loaded if one.actions is not None}
    origin = {ids[one.symbol]: (one.symbol, one.payload.sha256) for one in loaded}
    unit = load.provider.price_unit
    actions, refused = find_actions(batch.history, named, unit)
    settled = admit(load.warehouse, batch.bars, actions)
    out = batch.bars.join(settled.bars, on=VINTAGE_KEY, how="anti")
    history = batch.history.join(out, on=VINTAGE_KEY, how="anti", maintain_order="left")
    if out.height:  # a wrong bar makes wrong actions
        actions, refused = find_actions(history, named, unit)
    bars = settled.held.partition_by("instrument_id", as_dict=True)
    held = [
        *(_held(load, origin[one], rows.select(*BAR_SCHEMA, "reason"), evidence.BARS) for (one,), rows in bars.items()),
        *(_held(load, origin[one], rows, evidence.ACTIONS) for one, rows in refused.items()),
    ]
    return _Admitted(
        replace(batch, history=history, bars=settled.bars, held=(*batch.held, *held)),
        actions,
        tuple(named),
        settled.dropped,
    )


def _held(load: Load, origin: tuple[str, str], rows: pl.DataFrame, table: str) -> Held:
    symbol, payload = origin
    return Held(symbol, rows, load.window.provider, payload, table)


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
