"""Controls that close the desk, or a part of it, whatever the order is."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal, SessionHours
from bifrost_core.trading.terms import TimeInForce

OPENING_CUTOFF = timedelta(minutes=2)  # US exchanges take market-on-open orders until 9:28
CLOSING_CUTOFF = timedelta(minutes=10)  # NYSE takes market-on-close orders until 15:50, Nasdaq five minutes longer


def kill_switch(p: Proposal, c: Context) -> Deny | None:
    """No order in the scope of an engaged switch: global, account, strategy or symbol."""
    if not c.kill_switches:
        return None
    scopes = [("global", "*"), ("account", p.account), ("symbol", p.symbol), *(("strategy", s) for s in p.strategies)]
    hit = [f"{scope} {key}" for scope, key in scopes if (scope, key) in c.kill_switches]
    return Deny(RiskCode.KILL_SWITCH, f"kill switch is engaged: {hit[0]}") if hit else None


def not_reconciled(_proposal: Proposal, c: Context) -> Deny | None:
    """No order unless book and broker were found to agree within NOT_RECONCILED seconds."""
    return c.once(RiskCode.NOT_RECONCILED, _not_reconciled)


def _not_reconciled(c: Context) -> Deny | None:
    limit = c.limits.value(LimitCode.NOT_RECONCILED)
    if limit is None or c.reconciled_at is None:
        return Deny(RiskCode.NOT_RECONCILED, "never found to agree with the broker, or no limit", limit)
    age = Decimal((c.now - c.reconciled_at).total_seconds())
    if age <= limit:
        return None
    return Deny(RiskCode.NOT_RECONCILED, f"last found to agree with the broker at {c.reconciled_at}", limit, age)


def clock_skew(_proposal: Proposal, c: Context) -> Deny | None:
    """No order while two clocks differ by more than CLOCK_SKEW seconds."""
    return c.once(RiskCode.CLOCK_SKEW, _clock_skew)


def _clock_skew(c: Context) -> Deny | None:
    limit, skew = c.limits.value(LimitCode.CLOCK_SKEW), c.clock_skew
    if limit is None or skew is None or not skew.is_finite():
        return Deny(RiskCode.CLOCK_SKEW, "the clocks were not compared, or no limit", limit)
    if abs(skew) <= limit:
        return None
    return Deny(RiskCode.CLOCK_SKEW, "this machine's clock and the broker's differ", limit, abs(skew))


def symbol_blocked(p: Proposal, c: Context) -> Deny | None:
    """No order in a blocked symbol; a block of '*' holds for all."""
    cause = c.blocked.get(p.symbol) or c.blocked.get("*")
    return Deny(RiskCode.SYMBOL_BLOCKED, f"{p.symbol} is blocked: {cause}") if cause else None


def session_closed(p: Proposal, c: Context) -> Deny | None:
    """No order but in a session or at most SESSION_CLOSED seconds before it, and while its time in force is taken."""
    in_force = p.terms.time_in_force
    return c.once(in_force, lambda known: _session_closed(in_force, known))


def _session_closed(in_force: TimeInForce, c: Context) -> Deny | None:
    limit, session = c.limits.value(LimitCode.SESSION_CLOSED), c.session
    if limit is None or session is None:
        return Deny(RiskCode.SESSION_CLOSED, "no session is known to trade in, or no limit", limit)
    if c.now >= session.close_at:
        return Deny(RiskCode.SESSION_CLOSED, f"session {session.session} closed at {session.close_at}", limit)
    ahead = Decimal((session.open_at - c.now).total_seconds())
    if ahead > limit:
        return Deny(RiskCode.SESSION_CLOSED, f"session {session.session} opens at {session.open_at}", limit, ahead)
    if _can_be_entered(in_force, session, c):
        return None
    return Deny(RiskCode.SESSION_CLOSED, f"a {in_force} order cannot be entered at {c.now}", limit)


def _can_be_entered(time_in_force: TimeInForce, session: SessionHours, c: Context) -> bool:
    match time_in_force:
        case TimeInForce.OPG:
            return c.now < session.open_at - OPENING_CUTOFF
        case TimeInForce.CLS:
            return c.now < session.close_at - CLOSING_CUTOFF
        case TimeInForce.IOC | TimeInForce.FOK:
            return c.now >= session.open_at
        case _:
            return True


def symbol_halted(p: Proposal, c: Context) -> Deny | None:
    """No order in a symbol that is halted, cannot be traded, or of which the broker says nothing."""
    state = c.tradable.get(p.symbol)
    if state is not None and state.is_tradable and not state.is_halted:
        return None
    what = "unknown to the broker" if state is None else "halted" if state.is_halted else "not tradable"
    return Deny(RiskCode.SYMBOL_HALTED, f"{p.symbol} is {what}")
