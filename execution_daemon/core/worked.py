"""How orders are worked in slices: the schedule of a name, for one symbol or for all of a batch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bifrost_core.errors import BrokerError
from bifrost_core.trading.schedules import Algo, Schedule, profile_between
from execution_daemon.core.inputs import Market

Profile = tuple[Decimal, ...]
MICROSECOND = timedelta(microseconds=1)
VWAP_SLICES = 13  # half hours of a regular session


@dataclass(frozen=True, slots=True)
class Pace:
    """What schedules need: POV its share of the volume, VWAP how past sessions' was spread over the day, by symbol.

    `until`: when the order is to be done, at the latest; None is the session's end.
    """

    participation: Decimal
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    until: datetime | None = None


def schedule_of(name: str, market: Market, symbol: str, pace: Pace) -> Schedule:
    """The schedule of that name for an order that begins now or with the session that comes.

    Raises BrokerError where it cannot be worked.
    """
    try:
        algo = Algo(name)
    except ValueError as error:
        raise BrokerError(f"no schedule is named {name!r}", f"Choose from {', '.join(Algo)}") from error
    schedule = Schedule(algo)
    if algo is Algo.POV:
        volume = market.volume(symbol)
        if volume is None:
            raise BrokerError(f"the broker publishes no volume of {symbol}: POV cannot be worked", "Use twap or is")
        schedule = replace(schedule, participation=pace.participation, start_volume=volume)
    if algo is Algo.VWAP:
        profile = _in_the_time_left(pace.profiles.get(symbol, ()), market, pace.until)
        schedule = replace(schedule, profile=profile, slices=max(len(profile), 1))
    if objection := schedule.objection():
        raise BrokerError(f"{symbol} cannot be worked by {name}: {objection}", "Use twap or is")
    return schedule


def schedules_of(name: str, market: Market, symbols: Iterable[str], pace: Pace) -> dict[str, Schedule]:
    """Of each symbol of a batch; by TWAP where it lacks what the named one needs: trading does not wait for that."""
    found = {}
    for symbol in symbols:
        try:
            found[symbol] = schedule_of(name, market, symbol, pace)
        except BrokerError:
            found[symbol] = Schedule(Algo.TWAP)
    return found


def _in_the_time_left(profile: Profile, market: Market, until: datetime | None) -> Profile:
    """Of a profile of whole sessions, the part that lies between now and the end, as a profile of its own."""
    opens, closes = market.session.open_at, market.session.close_at
    begin, end = max(market.now, opens), min(until or closes, closes)
    if (begin, end) == (opens, closes) or not profile or begin >= end:
        return profile
    length = closes - opens
    return profile_between(profile, _fraction(begin - opens, length), _fraction(end - opens, length))


def _fraction(part: timedelta, length: timedelta) -> Decimal:
    return Decimal(part // MICROSECOND) / Decimal(length // MICROSECOND)
