"""What TWS's numbered messages prove about an order.

Source: the tables "System Message Codes", "Error Codes" and "Warning Codes" of IBKR's TWS API documentation. A code that
is in none of these tables proves nothing: the order's state decides, and without one the answer is unclear. 103 (duplicate
order id) and 404 (held while shares are located) are left out on purpose: the order may live.
"""

from __future__ import annotations

REFUSALS = {
    105: "order being modified does not match the original",
    107: "incomplete order",
    109: "price is out of the range set by percentage constraints",
    110: "price does not conform to the minimum price variation",
    111: "time in force and order type are incompatible",
    132: "order size is illegal",
    200: "no security definition has been found",
    201: "order rejected",
    203: "the security is not available or allowed for this account",
    321: "the request failed TWS's validation",
    355: "order size does not conform to the market rule",
    387: "unsupported order type for this exchange and security",
    388: "order size is smaller than the minimum",
    434: "the order size cannot be zero",
    460: "no trading permissions",
    10052: "invalid time in force",
    10243: "a fractional order cannot be placed through the API",
    10318: "a fractional order can only be a day order",
}
CANCEL_REFUSALS = {
    135: "no order has this id",
    161: "the order is not in a state in which it can be canceled",
    10147: "the order to cancel was not found",
    10148: "the order cannot be canceled in its state",
}
ORDER_CANCELED = 202
UNKNOWN_CONTRACT = 200
UPSTREAM_LOST = frozenset({1100, 1300, 2110})
UPSTREAM_RESTORED_WITHOUT_DATA, UPSTREAM_RESTORED = 1101, 1102
FIRST_NOTICE, LAST_NOTICE = 2100, 2169  # market data farm states and the like: about no request in particular
