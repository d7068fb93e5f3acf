"""Pre-trade risk: each control is one function that denies or does not, asked in the order of `CONTROLS`.

What is missing, stale or not a number denies. An order that only reduces is never denied by a limit on exposure or on
the day, so that a book over its limits can always be brought back under them.
"""

from bifrost_core.trading.risk.codes import PUBLISHED, Published, RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.decision import CONTROLS, decide
from bifrost_core.trading.risk.exposure import purchasing_power
from bifrost_core.trading.risk.losses import TradingState, daily_loss, drawdown, trading_state
from bifrost_core.trading.risk.model import (
    Alternatives,
    DayState,
    Deny,
    Exposure,
    Parent,
    Proposal,
    Quote,
    Resting,
    Restriction,
    SessionHours,
    Shape,
    SymbolFacts,
    Tradable,
)
from bifrost_core.trading.risk.signals import batch_refusal
from bifrost_core.trading.risk.tally import Tally

__all__ = [
    "CONTROLS",
    "PUBLISHED",
    "Alternatives",
    "Context",
    "DayState",
    "Deny",
    "Exposure",
    "Parent",
    "Proposal",
    "Published",
    "Quote",
    "Resting",
    "Restriction",
    "RiskCode",
    "SessionHours",
    "Shape",
    "SymbolFacts",
    "Tally",
    "Tradable",
    "TradingState",
    "batch_refusal",
    "daily_loss",
    "decide",
    "drawdown",
    "purchasing_power",
    "trading_state",
]
