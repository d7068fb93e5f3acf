"""What TWS's numbered messages prove about an order.

Source: the tables "System Message Codes" and "Error Codes" of IBKR's TWS API documentation, chapter Error Handling.
A refusal is here only if its text says that the order as asked for was not taken; all are believed only while the open
orders do not show the order working. Left out on purpose: 103 (duplicate order id: an order of that id may live), 105
and other messages about changing an order (this adapter changes none), 106, 133 and 322 (which do not say what became
of the order), 399 and 404 (warnings about an order that lives). A code that is in no table proves nothing.
"""

from __future__ import annotations

REFUSALS = frozenset(
    {
        107,  # incomplete order
        109,  # price outside the percentage setting: the order will not be transmitted
        110,  # price does not conform to the minimum variation
        111,  # time in force and order type are incompatible
        113,  # MOC and LOC orders are day orders
        116,  # dead exchange
        132,  # no clearing account
        140,  # the size is no number
        141,  # the price is no number
        145,  # a field failed validation
        154,  # halted security
        158,  # a trailing order without an offset
        160,  # size zero
        163,  # percentage constraint of the default order settings
        200,  # no security definition
        201,  # rejected by IBKR's servers
        203,  # security not available or not allowed for this account
        303,  # invalid action
        321,  # the request failed validation
        355,  # size does not conform to the market rule
        361,  # invalid trigger price
        364,  # invalid trailing amount
        382,  # constraint on the number of ticks
        383,  # constraint on the size
        387,  # order type not supported for this exchange and security
        388,  # size smaller than the minimum
        396,  # only market and limit orders are accepted for now
        397,  # the same
        401,  # a field is too long
        403,  # invalid stop price
        407,  # invalid symbol
        411,  # the trading-hours flag is not valid for this order
        412,  # not available for trading
        426,  # not enough shares, and the account cannot be short
        434,  # size zero
        435,  # no account
        436,  # no allocation
        10015,  # trading is not allowed in the API
        10243,  # a fractional order cannot be placed through the API
        *range(10245, 10253),  # no fractions for this instrument, order, route, user, or size increment
        10292,  # order type or action is restricted
        10318,  # no fractions for this order
        10340,  # an attribute of the order is not supported
    }
)
CANCEL_REFUSALS = frozenset(
    {
        135,  # no order has this id
        136,  # this order cannot be canceled
        161,  # not in a state in which it can be canceled
        10147,  # the order to cancel was not found
        10148,  # it cannot be canceled in its state
    }
)
ORDER_CANCELED = 202
UNKNOWN_CONTRACT = 200
CLIENT_ID_TAKEN = 326
UPSTREAM_LOST = frozenset({1100, 2110})
UPSTREAM_RESTORED = frozenset({1101, 1102})
SOCKET_RESET = 1300
NO_QUOTE = frozenset({354, 10089, 10091, 10168, 10186, 10187, 10197})  # not subscribed, or a competing session
# Warnings about things that live: a held order, delayed data, the state of data farms.
NOTICES = frozenset({165, 399, 404, 10090, 10167, *range(2100, 2110), *range(2111, 2170)})
