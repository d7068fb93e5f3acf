"""The one question: is this order accepted, and if not, which control says no?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bifrost_core.trading.risk import activity, conduct, exposure, gates, losses, prices, signals, sizes
from bifrost_core.trading.risk.codes import RiskCode
from bifrost_core.trading.risk.context import Context
from bifrost_core.trading.risk.model import Deny, Proposal

Control = Callable[[Proposal, Context], Deny | None]

# In the order of RiskCode. Up to PRICE_MISSING no control reckons with quantity or price: they may be no numbers.
CONTROLS: Mapping[RiskCode, Control] = {
    RiskCode.KILL_SWITCH: gates.kill_switch,
    RiskCode.DAILY_LOSS_HALT: losses.daily_loss_halt,
    RiskCode.DRAWDOWN_HALT: losses.drawdown_halt,
    RiskCode.NOT_RECONCILED: gates.not_reconciled,
    RiskCode.CLOCK_SKEW: gates.clock_skew,
    RiskCode.DUPLICATE_ORDER: signals.duplicate_order,
    RiskCode.SIGNAL_INVALID: signals.signal_invalid,
    RiskCode.SIGNAL_STALE: signals.signal_stale,
    RiskCode.SYMBOL_BLOCKED: gates.symbol_blocked,
    RiskCode.TERMS_INVALID: conduct.terms_invalid,
    RiskCode.SESSION_CLOSED: gates.session_closed,
    RiskCode.SYMBOL_HALTED: gates.symbol_halted,
    RiskCode.PRICE_MISSING: prices.price_missing,
    RiskCode.RESTRICTED: conduct.restricted,
    RiskCode.DAILY_LOSS_REDUCE: losses.daily_loss_reduce,
    RiskCode.DRAWDOWN_REDUCE: losses.drawdown_reduce,
    RiskCode.PRICE_STALE: prices.price_stale,
    RiskCode.PRICE_JUMP: prices.price_jump,
    RiskCode.PRICE_COLLAR: prices.price_collar,
    RiskCode.QUOTE_COLLAR: prices.quote_collar,
    RiskCode.PERIOD_COLLAR: prices.period_collar,
    RiskCode.REDUCE_ONLY: conduct.reduce_only,
    RiskCode.PARENT_EXCEEDED: conduct.parent_exceeded,
    RiskCode.SELF_MATCH: conduct.self_match,
    RiskCode.SIMILAR_ORDER: conduct.similar_order,
    RiskCode.REPEATED_EXECUTIONS: conduct.repeated_executions,
    RiskCode.SHORT_LOCATE: conduct.short_locate,
    RiskCode.SHORT_SALE_PRICE: conduct.short_sale_price,
    RiskCode.MAX_ORDER_QTY: sizes.max_order_qty,
    RiskCode.MAX_ORDER_VALUE: sizes.max_order_value,
    RiskCode.MAX_ADV: sizes.max_adv,
    RiskCode.MAX_POSITION: exposure.max_position,
    RiskCode.MAX_GROSS: exposure.max_gross,
    RiskCode.MAX_NET: exposure.max_net,
    RiskCode.MAX_LEVERAGE: exposure.max_leverage,
    RiskCode.MAX_CONCENTRATION: exposure.max_concentration,
    RiskCode.MAX_SECTOR: exposure.max_sector,
    RiskCode.BUYING_POWER: exposure.buying_power,
    RiskCode.MAX_DAILY_VALUE: activity.max_daily_value,
    RiskCode.MAX_DAILY_ORDERS: activity.max_daily_orders,
    RiskCode.MESSAGE_BACKLOG: activity.message_backlog,
}
_IN_ORDER = tuple(CONTROLS.values())


def decide(proposal: Proposal, context: Context) -> Deny | None:
    """The first control that denies, or None: the order is accepted."""
    for control in _IN_ORDER:
        if denied := control(proposal, context):
            return denied
    return None
