"""What a replay found, in lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from bifrost_cli.what_if.replay import Outcome
from bifrost_core.trading.orders import ZERO
from bifrost_core.trading.risk import RiskCode

SHOWN = 20


def lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Counts, codes and USD of what would be denied and of what would pass, then the orders themselves."""
    every = tuple(outcomes)
    agreeing = [o for o in every if o.now is o.decided.outcome]
    yield f"{len(every)} decisions replayed; {len(agreeing)} come out under today's limits as they did then"
    if left := len(every) - len(agreeing):
        yield f"{left} do not: they hung on what is not kept (quotes, halts, switches) or on limits changed since"
    accepted = RiskCode.ACCEPTED
    stopped = [o for o in every if o.now is accepted and o.tried is not accepted]
    passing = [o for o in every if o.now is not accepted and o.tried is accepted]
    yield from _section("would be denied", stopped, lambda o: o.tried)
    yield from _section("would pass", passing, lambda o: o.now)


def _section(title: str, found: list[Outcome], code: Callable[[Outcome], RiskCode]) -> Iterator[str]:
    yield f"{title}: {len(found)} orders, {_usd(found)} USD"
    for each in sorted({code(o) for o in found}):
        of_code = [o for o in found if code(o) is each]
        yield f"  {each:<22}{len(of_code):>6} orders {_usd(of_code):>18} USD"
    for o in found[:SHOWN]:
        p = o.decided.proposal
        yield f"    {o.decided.decided_at:%Y-%m-%d %H:%M} {p.side:<4} {p.qty.normalize():>10f} {p.symbol:<8} {code(o)}"
    if len(found) > SHOWN:
        yield f"    and {len(found) - SHOWN} more"


def _usd(found: Iterable[Outcome]) -> str:
    total: Decimal = sum((o.decided.proposal.value or ZERO for o in found), ZERO)
    return f"{total:,.2f}"
