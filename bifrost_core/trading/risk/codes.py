"""Reason codes of risk decisions: what each means, what to do about it, and the limit that it compares with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bifrost_core.trading.limits import LimitCode


class RiskCode(StrEnum):
    """Reason codes of decisions, in precedence order. Stored: never renamed."""

    KILL_SWITCH = "KILL_SWITCH"
    DAILY_LOSS_HALT = "DAILY_LOSS_HALT"
    DRAWDOWN_HALT = "DRAWDOWN_HALT"
    NOT_RECONCILED = "NOT_RECONCILED"
    CLOCK_SKEW = "CLOCK_SKEW"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    SIGNAL_INVALID = "SIGNAL_INVALID"
    SIGNAL_STALE = "SIGNAL_STALE"
    SYMBOL_BLOCKED = "SYMBOL_BLOCKED"
    TERMS_INVALID = "TERMS_INVALID"
    SESSION_CLOSED = "SESSION_CLOSED"
    SYMBOL_HALTED = "SYMBOL_HALTED"
    PRICE_MISSING = "PRICE_MISSING"
    RESTRICTED = "RESTRICTED"
    DAILY_LOSS_REDUCE = "DAILY_LOSS_REDUCE"
    DRAWDOWN_REDUCE = "DRAWDOWN_REDUCE"
    PRICE_STALE = "PRICE_STALE"
    PRICE_JUMP = "PRICE_JUMP"
    PRICE_COLLAR = "PRICE_COLLAR"
    QUOTE_COLLAR = "QUOTE_COLLAR"
    PERIOD_COLLAR = "PERIOD_COLLAR"
    REDUCE_ONLY = "REDUCE_ONLY"
    PARENT_EXCEEDED = "PARENT_EXCEEDED"
    SELF_MATCH = "SELF_MATCH"
    SIMILAR_ORDER = "SIMILAR_ORDER"
    REPEATED_EXECUTIONS = "REPEATED_EXECUTIONS"
    SHORT_LOCATE = "SHORT_LOCATE"
    SHORT_SALE_PRICE = "SHORT_SALE_PRICE"
    MAX_ORDER_QTY = "MAX_ORDER_QTY"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_ADV = "MAX_ADV"
    MAX_POSITION = "MAX_POSITION"
    MAX_GROSS = "MAX_GROSS"
    MAX_NET = "MAX_NET"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    MAX_CONCENTRATION = "MAX_CONCENTRATION"
    MAX_SECTOR = "MAX_SECTOR"
    BUYING_POWER = "BUYING_POWER"
    MAX_DAILY_VALUE = "MAX_DAILY_VALUE"
    MAX_DAILY_ORDERS = "MAX_DAILY_ORDERS"
    MESSAGE_BACKLOG = "MESSAGE_BACKLOG"
    ACCEPTED = "ACCEPTED"

    @property
    def limit(self) -> LimitCode | None:
        """The limit row of the same name, where the control has one."""
        return _LIMIT_OF[self]

    @property
    def may_pass_later(self) -> bool:
        """Whether the same order could be accepted later, if only time, prices and the book move."""
        return PUBLISHED[self].may_pass_later


_LIMIT_OF = {code: LimitCode(code.value) if code.value in LimitCode.__members__ else None for code in RiskCode}


@dataclass(frozen=True, slots=True)
class Published:
    """What a code tells the person who reads it."""

    meaning: str
    remedy: str
    may_pass_later: bool = True


_COLLAR_REMEDY = "Look at the price: if the market moved, make the signal anew; if the data is wrong, mend it"
_WAIT_FOR_BOOK = "Reduce, or let working orders end: they count as if they were filled"
_LOSS_REMEDY = (
    "Find what was lost where; the account trades freely again once its equity is back, or the limit is raised"
)

PUBLISHED: Mapping[RiskCode, Published] = {
    RiskCode.KILL_SWITCH: Published(
        "A kill switch is engaged whose scope holds the order: global, account, strategy or symbol.",
        "Find out why it was engaged; release it with a second person or after the cool-off",
    ),
    RiskCode.DAILY_LOSS_HALT: Published(
        "The account has lost this part of its equity since the last close, at the worst moment of the day. Nothing is"
        " ordered any more, closing orders neither.",
        _LOSS_REMEDY,
    ),
    RiskCode.DRAWDOWN_HALT: Published(
        "Equity is this far below its highest ever. Nothing is ordered any more, closing orders neither.", _LOSS_REMEDY
    ),
    RiskCode.NOT_RECONCILED: Published(
        "The book was not compared with the broker's ledger within the limit, or never.",
        "See why the reconciler does not run: the broker may not answer. `POST /reconcile` runs it now",
    ),
    RiskCode.CLOCK_SKEW: Published(
        "Two clocks differ by more than the limit: this machine's and the broker's, or a trade is of the future.",
        "Set the machine's time (NTP)",
    ),
    RiskCode.DUPLICATE_ORDER: Published(
        "An order of this id exists: it was decided on before.", "Nothing: the first one stands", False
    ),
    RiskCode.SIGNAL_INVALID: Published(
        "It is not within [valid_from, valid_until) of the batch that the order comes from,"
        " or the time of a parent order ends before the open.",
        "Wait for its time, or have the pipeline make a new batch",
    ),
    RiskCode.SIGNAL_STALE: Published(
        "The session that the signal was made from lies too many days before the one it would be traded in.",
        "See why the pipeline has not run since",
        False,
    ),
    RiskCode.SYMBOL_BLOCKED: Published(
        "The symbol, or the whole account ('*'), is blocked: an order without an answer, a break, an overfill.",
        "See the cause on the Operations page; what does not clear itself, a person clears",
    ),
    RiskCode.TERMS_INVALID: Published(
        "Type, time in force, prices and instructions do not go together.", "Change the order's terms", False
    ),
    RiskCode.SESSION_CLOSED: Published(
        "No session is known, it has closed, it lies further ahead than the limit, or the time in force cannot be"
        " entered any more (or yet).",
        "Wait for the session, choose another time in force, or load the calendar",
    ),
    RiskCode.SYMBOL_HALTED: Published(
        "The broker says that the symbol is halted or cannot be traded, or says nothing about it.",
        "Wait until trading resumes",
    ),
    RiskCode.PRICE_MISSING: Published(
        "Quantity, reference price or last trade is missing, not a number, or not above zero.",
        "See which of them in the detail, and mend its source",
    ),
    RiskCode.RESTRICTED: Published(
        "The symbol is on the restricted list and the order would open or add to a position; where the entry says so,"
        " closing is not allowed either.",
        "Ask compliance; `bifrost reference restrict` and `unrestrict` keep the list",
        False,
    ),
    RiskCode.DAILY_LOSS_REDUCE: Published(
        "The account has lost this part of its equity since the last close, or its equity is not known: it is REDUCING,"
        " and takes only orders that bring a position toward zero.",
        _LOSS_REMEDY,
    ),
    RiskCode.DRAWDOWN_REDUCE: Published(
        "Equity is this far below its highest ever: the account is REDUCING, and takes only orders that bring a"
        " position toward zero.",
        _LOSS_REMEDY,
    ),
    RiskCode.PRICE_STALE: Published(
        "The last trade is older than the limit.", "See why the broker has no newer one: halted, delisted, no feed"
    ),
    RiskCode.PRICE_JUMP: Published(
        "The last trade is this far away from the previous close, or there is no previous close. Reducing orders pass.",
        _COLLAR_REMEDY,
    ),
    RiskCode.PRICE_COLLAR: Published("Reference price or limit is this far away from the last trade.", _COLLAR_REMEDY),
    RiskCode.QUOTE_COLLAR: Published(
        "The price at which the order could trade is this far through the best offer (a purchase) or the best bid (a"
        " sale), or the broker's feed lacks them for this symbol. Not asked where the broker publishes none at all.",
        _COLLAR_REMEDY,
    ),
    RiskCode.PERIOD_COLLAR: Published(
        "The price is this far away from the mean close of the last 20 sessions, or there is none. Reducing orders"
        " pass.",
        _COLLAR_REMEDY,
    ),
    RiskCode.REDUCE_ONLY: Published(
        "The order may only reduce, and would open, add to or turn the position.", "Order no more than is held", False
    ),
    RiskCode.PARENT_EXCEEDED: Published(
        "Together with its sisters the order is larger than the parent that it is a slice of, or names another symbol"
        " or side, or no known parent.",
        "A defect of the schedule: report it",
        False,
    ),
    RiskCode.SELF_MATCH: Published(
        "An order of our own on the other side is in the market at a price at which the two could trade with each"
        " other.",
        "Cancel the other one first",
    ),
    RiskCode.SIMILAR_ORDER: Published(
        "An order of the same symbol, side, quantity, type and limit was accepted within the limit, and is working or"
        " was filled.",
        "Wait if it is meant; a loop that repeats itself if it is not",
    ),
    RiskCode.REPEATED_EXECUTIONS: Published(
        "This many orders in the symbol, on this side, were executed within an hour. Slices of a parent do not count.",
        "See whether a strategy repeats itself",
    ),
    RiskCode.SHORT_LOCATE: Published(
        "The sale goes below zero and the shares to borrow are not located: not shortable, no number known, or too"
        " few.",
        "Locate them with the broker, or sell no more than is held",
    ),
    RiskCode.SHORT_SALE_PRICE: Published(
        "The sale goes below zero while Rule 201 of Regulation SHO is in force (the price fell by the limit from the"
        " previous close), and has no limit price above the national best bid.",
        "Offer above the best bid, or wait until the day after tomorrow",
    ),
    RiskCode.MAX_ORDER_QTY: Published("The order has too many shares.", "Work it as a parent order in slices", False),
    RiskCode.MAX_ORDER_VALUE: Published("The order is worth too much.", "Work it as a parent order in slices", False),
    RiskCode.MAX_ADV: Published(
        "The order, with what works on its side, is too large a part of the average daily volume of 20 sessions, or"
        " that is not known.",
        "Order less, or over several days",
    ),
    RiskCode.MAX_POSITION: Published(
        "The position could become too large, whichever of its orders are filled.", _WAIT_FOR_BOOK
    ),
    RiskCode.MAX_GROSS: Published(
        "The sum of all positions' worst cases could become too large against equity.", _WAIT_FOR_BOOK
    ),
    RiskCode.MAX_NET: Published(
        "Longs less shorts could become too large against equity, if only purchases or only sales are filled.",
        _WAIT_FOR_BOOK,
    ),
    RiskCode.MAX_LEVERAGE: Published(
        "The sum of all positions would be too large against equity once every working order is filled.", _WAIT_FOR_BOOK
    ),
    RiskCode.MAX_CONCENTRATION: Published("One position could become too large against equity.", _WAIT_FOR_BOOK),
    RiskCode.MAX_SECTOR: Published(
        "The positions of one sector could become too large against equity; instruments without a sector are one.",
        _WAIT_FOR_BOOK,
    ),
    RiskCode.BUYING_POWER: Published(
        "What working orders reserve, with this one, is more than the multiple of equity that is not yet held.",
        _WAIT_FOR_BOOK,
    ),
    RiskCode.MAX_DAILY_VALUE: Published(
        "The orders of this day are worth too much together. Reducing orders pass.", "Wait for the next session"
    ),
    RiskCode.MAX_DAILY_ORDERS: Published(
        "There were too many orders today. Reducing orders pass.", "See whether a loop makes them; else wait"
    ),
    RiskCode.MESSAGE_BACKLOG: Published(
        "Too many orders wait to be sent at the broker's message rate. Reducing orders pass, cancels have a reserve.",
        "Wait until the sender has caught up",
    ),
    RiskCode.ACCEPTED: Published("Every control let the order pass.", "None needed", False),
}
