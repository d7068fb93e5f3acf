"""Controls of what the account has lost: first it may only reduce, then it may do nothing."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from bifrost_core.trading.limits import LimitCode, Limits
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import DayState, Deny, Proposal
from bifrost_core.trading.risk.numbers import is_positive


class TradingState(StrEnum):
    """What an account may do, by what it has lost."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


def daily_loss(equity: Decimal | None, day: DayState) -> Decimal | None:
    """The part of the last close's equity that was lost at the worst moment of the day; None where it is not known."""
    return _fall(day.start_equity, equity, day)


def drawdown(equity: Decimal | None, day: DayState) -> Decimal | None:
    """How far equity was below its highest ever at the worst moment of the day, as a part; None: not known."""
    return _fall(day.high_water, equity, day)


def _daily_loss(c: Context) -> Decimal | None:
    return daily_loss(c.equity, c.day)


def _drawdown(c: Context) -> Decimal | None:
    return drawdown(c.equity, c.day)


def _fall(top: Decimal | None, equity: Decimal | None, day: DayState) -> Decimal | None:
    if equity is None or not equity.is_finite() or not is_positive(top):
        return None
    lowest = day.low_equity
    worst = equity if lowest is None or not lowest.is_finite() else min(equity, lowest)
    return 1 - worst / top


def trading_state(equity: Decimal | None, day: DayState, limits: Limits) -> TradingState:
    """What the loss of the day and the drawdown leave; where either is not known, only reducing."""
    losses = (
        (daily_loss(equity, day), LimitCode.DAILY_LOSS_REDUCE, LimitCode.DAILY_LOSS_HALT),
        (drawdown(equity, day), LimitCode.DRAWDOWN_REDUCE, LimitCode.DRAWDOWN_HALT),
    )
    state = TradingState.ACTIVE
    for lost, reduce_at, halt_at in losses:
        if _reaches(lost, limits.value(halt_at)):
            return TradingState.HALTED
        threshold = limits.value(reduce_at)
        if lost is None or threshold is None or lost >= threshold:
            state = TradingState.REDUCING
    return state


def _reaches(lost: Decimal | None, limit: Decimal | None) -> bool:
    """A missing halt limit halts; a loss that is not known does not: reducing must stay possible."""
    return limit is None or (lost is not None and lost >= limit)


def daily_loss_halt(_proposal: Proposal, c: Context) -> Deny | None:
    """No order once DAILY_LOSS_HALT of the last close's equity was lost."""
    return c.once(
        RiskCode.DAILY_LOSS_HALT,
        lambda c: _halt(RiskCode.DAILY_LOSS_HALT, LimitCode.DAILY_LOSS_HALT, _daily_loss(c), c),
    )


def drawdown_halt(_proposal: Proposal, c: Context) -> Deny | None:
    """No order once equity is DRAWDOWN_HALT below its highest."""
    return c.once(
        RiskCode.DRAWDOWN_HALT, lambda c: _halt(RiskCode.DRAWDOWN_HALT, LimitCode.DRAWDOWN_HALT, _drawdown(c), c)
    )


def _halt(code: RiskCode, limit_code: LimitCode, lost: Decimal | None, c: Context) -> Deny | None:
    limit = c.limits.value(limit_code)
    return Deny(code, f"equity is {c.equity}: HALTED", limit, lost) if _reaches(lost, limit) else None


def daily_loss_reduce(p: Proposal, c: Context) -> Deny | None:
    """Only reducing orders once DAILY_LOSS_REDUCE of the last close's equity was lost, or where that is not known."""
    return _reduce(p, c, RiskCode.DAILY_LOSS_REDUCE, LimitCode.DAILY_LOSS_REDUCE, c.once(daily_loss, _daily_loss))


def drawdown_reduce(p: Proposal, c: Context) -> Deny | None:
    """Only reducing orders once equity is DRAWDOWN_REDUCE below its highest, or where that is not known."""
    return _reduce(p, c, RiskCode.DRAWDOWN_REDUCE, LimitCode.DRAWDOWN_REDUCE, c.once(drawdown, _drawdown))


def _reduce(p: Proposal, c: Context, code: RiskCode, limit_code: LimitCode, lost: Decimal | None) -> Deny | None:
    limit = c.limits.value(limit_code)
    if limit is not None and lost is not None and lost < limit:
        return None
    return None if c.reduces(p) else Deny(code, f"equity is {c.equity}: REDUCING", limit, lost)
