"""How a parent order is spread over time: how many of its shares should have been sent by now. Pure.

Time is cut into slices of equal length. At the start of a slice its shares are due, so that the last are sent one slice
before the end. Whole shares: what rounding leaves over comes with the last slice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from itertools import accumulate, pairwise

ZERO, ONE = Decimal(0), Decimal(1)


class Algo(StrEnum):
    """The ways to work a parent order. Stored: never renamed."""

    TWAP = "twap"  # evenly over time
    VWAP = "vwap"  # as the volume of past sessions was spread over the day
    POV = "pov"  # as a share of the volume traded since the start
    IS = "is"  # implementation shortfall: sooner, because prices move while one waits


@dataclass(frozen=True, slots=True)
class Schedule:
    """`slices` parts; `profile` (VWAP) each slice's share of the volume, sum 1; `participation` (POV) of the volume
    traded since it was `start_volume`; `urgency` (IS) is kappa times the time to the end, of Almgren and Chriss.
    """

    algo: Algo
    slices: int = 12
    profile: tuple[Decimal, ...] = ()
    participation: Decimal = ZERO
    start_volume: Decimal = ZERO
    urgency: Decimal = Decimal("1.5")

    def objection(self) -> str:
        """What makes no sense in it, in one line; empty if it can be worked."""
        if self.slices < 1:
            return f"{self.slices} slices"
        match self.algo:
            case Algo.VWAP if len(self.profile) != self.slices or abs(sum(self.profile, ZERO) - 1) > Decimal("1e-6"):
                return f"a VWAP schedule needs a volume profile of {self.slices} shares that sum to 1"
            case Algo.POV if not ZERO < self.participation <= ONE:
                return f"participation is {self.participation}, and must be above 0 and at most 1"
            case Algo.IS if not ZERO < self.urgency <= Decimal(50):
                return f"urgency is {self.urgency}, and must be above 0 and at most 50"
        return ""


def slice_at(schedule: Schedule, start: datetime, end: datetime, now: datetime) -> int | None:
    """The slice that `now` lies in, from 0; None outside [start, end)."""
    if not start <= now < end:
        return None
    return min(int((now - start) / (end - start) * schedule.slices), schedule.slices - 1)


def due_shares(schedule: Schedule, qty: Decimal, position: int, market_volume: Decimal | None) -> Decimal:
    """Shares of `qty` that should have been sent once slice `position` has begun; whole unless they are all.

    `market_volume`: shares traded in the session so far, for POV; without it nothing more is due.
    """
    fraction = _fraction(schedule, qty, position, market_volume)
    return qty if fraction >= ONE else (qty * fraction).to_integral_value(ROUND_DOWN)


def _fraction(schedule: Schedule, qty: Decimal, position: int, market_volume: Decimal | None) -> Decimal:
    is_last = position >= schedule.slices - 1
    match schedule.algo:
        case Algo.TWAP:
            return Decimal(position + 1) / schedule.slices
        case Algo.VWAP:
            return ONE if is_last else list(accumulate(schedule.profile))[position]
        case Algo.POV:
            traded = max((market_volume or ZERO) - schedule.start_volume, ZERO)
            return min(schedule.participation * traded / qty, ONE)
        case Algo.IS:
            return ONE if is_last else _almgren_chriss(float(schedule.urgency), (position + 1) / schedule.slices)


def _almgren_chriss(urgency: float, elapsed: float) -> Decimal:
    """Share executed after `elapsed` of the time: 1 - sinh(k(1 - t)) / sinh(k).

    Almgren and Chriss, "Optimal execution of portfolio transactions", Journal of Risk 3 (2000), equation 19 with k =
    kappa T, which is what minimises expected cost plus risk aversion times variance.
    """
    return Decimal(repr(1.0 - math.sinh(urgency * (1.0 - elapsed)) / math.sinh(urgency)))


def profile_between(profile: Sequence[Decimal], begin: Decimal, end: Decimal) -> tuple[Decimal, ...]:
    """A session's profile, for an order that is worked in a part of it: as many slices of that part, sum 1.

    `begin` and `end`: fractions of the session, 0 to 1. Even where nothing was traded between them.
    """
    slices = len(profile)
    edges = (begin + (end - begin) * number / slices for number in range(slices + 1))
    traded = [_traded_by(profile, edge) for edge in edges]
    total = traded[-1] - traded[0]
    if total <= 0:
        return (ONE / slices,) * slices
    return tuple((after - before) / total for before, after in pairwise(traded))


def _traded_by(profile: Sequence[Decimal], fraction: Decimal) -> Decimal:
    """The share of the volume that was traded when `fraction` of the session was over."""
    whole, part = divmod(fraction * len(profile), 1)
    rest = profile[int(whole)] * part if part else ZERO
    return sum(profile[: int(whole)], ZERO) + rest
