"""What a seed stands for: a market, batches, and what goes wrong when. Drawn once, before anything runs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from execution_daemon.brokers.simulated import Fault
from execution_daemon.shell.failpoints import FailPoint

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
STRATEGIES = ("mean", "trend")
PRE_OPEN_SECONDS = 7.0
OPEN_SECONDS = 7.0
EVENING_SECONDS = 2.0
SESSION_SECONDS = PRE_OPEN_SECONDS + OPEN_SECONDS + EVENING_SECONDS


class Poison(StrEnum):
    """What is wrong with a batch that must never be traded."""

    BAD_HASH = "bad_hash"
    NAN_WEIGHT = "nan_weight"
    NAN_PRICE = "nan_price"
    UNKNOWN_SYMBOL = "unknown_symbol"
    EXPIRED = "expired"
    HALF_WRITTEN = "half_written"
    GROSS_JUMP = "gross_jump"


class Kind(StrEnum):
    """What happens at a time of a scenario."""

    BATCH = "batch"
    CRASH = "crash"
    CRASH_AT_POINT = "crash_at_point"
    MACHINE_LOST = "machine_lost"
    STOP = "stop"
    STOP_AT_POINT = "stop_at_point"
    CUT = "cut"
    LOST_COMMIT = "lost_commit"
    KILL = "kill"
    KILL_AT_POINT = "kill_at_point"
    OUTAGE = "outage"
    DISCONNECT = "disconnect"
    CLOCK_JUMP = "clock_jump"
    TAMPER = "tamper"
    LEDGER = "ledger"
    COMMAND = "command"


class Tamper(StrEnum):
    """A difference between the books that nothing explains, for a while: it must be found, and halt what it touches."""

    CASH = "cash"
    POSITION = "position"
    FOREIGN_ORDER = "foreign_order"
    FILL = "fill"


class Entry(StrEnum):
    """What a broker books by itself."""

    DIVIDEND = "dividend"
    FEE = "fee"
    TRANSFER = "transfer"
    BUST = "bust"
    CORRECTION = "correction"


class Command(StrEnum):
    """What a person has the daemon do."""

    BRACKET = "bracket"
    THEN = "then"
    LIMIT = "limit"
    SLICED = "sliced"
    CANCEL = "cancel"
    AMEND = "amend"
    CANCEL_ALL = "cancel_all"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at `at` virtual seconds; what `what`, `number` and `seconds` mean depends on the kind."""

    at: float
    kind: Kind
    what: str = ""
    number: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a seed draws."""

    seed: int
    sessions: int
    prices: Mapping[str, Decimal]
    events: tuple[Event, ...]
    rates: Mapping[Fault, float]
    limits: Mapping[str, Decimal]
    machines: int
    is_system_clock: bool
    execution: Literal["market", "twap", "vwap", "pov", "is"]
    is_shuffled: bool
    volume_cap: Decimal | None
    to_borrow: Decimal
    slow: float
    broken: float
    server_seconds: float
    network_seconds: float

    @property
    def seconds(self) -> float:
        """When faults stop."""
        return self.sessions * SESSION_SECONDS


def draw(seed: int) -> Scenario:
    """The scenario of a seed; each kind of trouble is absent from about half of them, so that the others go deep."""
    source = random.Random(f"scenario {seed}")
    sessions = source.choice((1, 1, 1, 2, 2, 3))
    symbols = SYMBOLS[: source.randint(2, len(SYMBOLS))]
    return Scenario(
        seed=seed,
        sessions=sessions,
        prices={symbol: Decimal(source.randint(2000, 80000)) / 100 for symbol in symbols},
        events=_events(source, sessions, symbols),
        rates=_rates(source),
        limits=_limits(source),
        machines=source.choice((1, 1, 2)),
        is_system_clock=source.random() < 0.3,
        execution=_execution(source),
        is_shuffled=source.random() < 0.5,
        volume_cap=Decimal(source.choice((50, 200, 1000))) if source.random() < 0.5 else None,
        to_borrow=Decimal(source.choice((0, 300, 1_000_000, 1_000_000))),
        slow=source.choice((0.0, 0.0, 0.05, 0.2)),
        broken=source.choice((0.0, 0.0, 0.0, 0.01, 0.03)),
        server_seconds=source.choice((0.0005, 0.002, 0.02)),
        network_seconds=source.choice((0.005, 0.02, 0.1)),
    )


def _execution(source: random.Random) -> Literal["market", "twap", "vwap", "pov", "is"]:
    drawn = source.random()
    return "market" if drawn < 0.6 else "twap" if drawn < 0.75 else "pov" if drawn < 0.85 else "is"


FAULTS = (
    Fault.LOST_REQUEST,
    Fault.LOST_ANSWER,
    Fault.LOST_REPORT,
    Fault.DUPLICATE_REPORT,
    Fault.REORDERED_REPORT,
    Fault.PARTIAL_FILL,
    Fault.DISCONNECT,
    Fault.REFUSED_READ,
    Fault.STALE_READ,
)


def _rates(source: random.Random) -> dict[Fault, float]:
    return {fault: source.choice((0.05, 0.2, 0.4)) for fault in FAULTS if source.random() < 0.35}


def _limits(source: random.Random) -> dict[str, Decimal]:
    """Limits that bind, in half of the scenarios; the defaults otherwise."""
    if source.random() < 0.5:
        return {}
    return {
        "MAX_POSITION": Decimal(source.choice((80_000, 150_000, 400_000))),
        "MAX_ORDER_VALUE": Decimal(source.choice((60_000, 120_000, 500_000))),
        "MAX_GROSS": Decimal(source.choice(("0.3", "0.6", "1.2"))),
    }


def _events(source: random.Random, sessions: int, symbols: tuple[str, ...]) -> tuple[Event, ...]:
    end = sessions * SESSION_SECONDS
    found = list(_batches(source, sessions))
    for kind, make in _MAKERS.items():
        if source.random() < 0.4:
            count = source.choice((1, 1, 2, 3))
            count *= 3 if kind is Kind.COMMAND else 1
            found += [make(source, kind, source.uniform(0.2, end - 1), symbols) for _ in range(count)]
    return tuple(sorted(found, key=lambda event: event.at))


def _batches(source: random.Random, sessions: int) -> list[Event]:
    found = []
    for session in range(sessions):
        start = session * SESSION_SECONDS
        for _ in range(source.choice((1, 1, 2))):
            found.append(Event(start + source.uniform(0.5, PRE_OPEN_SECONDS - 1), Kind.BATCH))
        if source.random() < 0.5:
            found.append(Event(start + PRE_OPEN_SECONDS + source.uniform(0.2, OPEN_SECONDS - 2), Kind.BATCH))
        if source.random() < 0.5:
            at = start + source.uniform(0.5, SESSION_SECONDS - EVENING_SECONDS)
            found.append(Event(at, Kind.BATCH, source.choice(tuple(Poison))))
    return found


def _crash(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, "", int(10 ** source.uniform(0, 3.3)), source.choice((0.1, 0.5, 2.0)))


def _crash_at_point(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, source.choice(tuple(FailPoint)), source.choice((1, 1, 2, 3)), source.choice((0.1, 1.0)))


def _lasting(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, "", source.randrange(3), source.choice((0.3, 1.0, 3.0, 6.0)))


def _kill(source: random.Random, kind: Kind, at: float, symbols: tuple[str, ...]) -> Event:
    scope, key = source.choice(
        (
            ("global", "*"),
            ("account", "paper"),
            ("account", "another"),
            ("symbol", source.choice(symbols)),
            ("strategy", source.choice(STRATEGIES)),
        )
    )
    return Event(at, kind, f"{scope} {key}", source.randrange(3), source.choice((0.5, 2.0, 5.0, 10.0)))


def _clock_jump(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, "", 0, source.choice((-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0)))


def _tamper(source: random.Random, kind: Kind, at: float, symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, source.choice(tuple(Tamper)), source.randrange(len(symbols)), 10.0)


def _ledger(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, source.choice(tuple(Entry)), source.randrange(100))


def _command(source: random.Random, kind: Kind, at: float, _symbols: tuple[str, ...]) -> Event:
    return Event(at, kind, source.choice(tuple(Command)), source.randrange(1000))


_MAKERS = {
    Kind.CRASH: _crash,
    Kind.CRASH_AT_POINT: _crash_at_point,
    Kind.MACHINE_LOST: _lasting,
    Kind.STOP: _lasting,
    Kind.STOP_AT_POINT: _lasting,
    Kind.CUT: _lasting,
    Kind.LOST_COMMIT: _lasting,
    Kind.KILL: _kill,
    Kind.KILL_AT_POINT: _kill,
    Kind.OUTAGE: _lasting,
    Kind.DISCONNECT: _lasting,
    Kind.CLOCK_JUMP: _clock_jump,
    Kind.TAMPER: _tamper,
    Kind.LEDGER: _ledger,
    Kind.COMMAND: _command,
}
