"""TWS's messages as bytes, for server version 178: what it reads of a placeOrder, and what it writes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

SERVER_VERSION = 178
UNSET = "1.7976931348623157E308"
ORDER_TYPES = (  # what TWS listed for AAPL through SMART in December 2025: no FOK, post-only for direct routes only
    "ACTIVETIM,AD,ADDONT,ADJUST,ALERT,ALGO,ALLOC,AON,AVGCOST,BASKET,BENCHPX,CASHQTY,COND,CONDORDER,DARKONLY,DARKPOLL,DAY,"
    "DEACT,DEACTDIS,DEACTEOD,DIS,DUR,GAT,GTC,GTD,GTT,HID,IBKRATS,ICE,IMB,IOC,LIT,LMT,LOC,MIDPX,MIT,MKT,MOC,MTL,NGCOMB,"
    "NODARK,NONALGO,OCA,OPG,OPGREROUT,PEGBENCH,PEGMID,POSTATS,POSTONLY,PREOPGRTH,PRICECHK,REL,REL2MID,RELPCTOFS,RPI,RTH,"
    "SCALE,SCALEODD,SCALERST,SIZECHK,SMARTSTG,SNAPMID,SNAPMKT,SNAPREL,STP,STPLMT,SWEEP,TRAIL,TRAILLIT,TRAILLMT,TRAILMIT,"
    "WHATIF"
)
Fields = Sequence[object]


@dataclass
class Placed:
    """An order as TWS has it. `order_id` and `client_id` are zero for one made by hand."""

    order_id: int
    client_id: int
    perm_id: int
    con_id: int
    symbol: str
    action: str
    qty: Decimal
    kind: str
    limit: Decimal | None
    aux: Decimal | None
    limit_offset: Decimal | None
    tif: str
    account: str
    ref: str
    status: str = "PendingSubmit"
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    completed_at: datetime | None = None
    completed_status: str = ""

    @property
    def leaves(self) -> Decimal:
        return self.qty - self.filled

    @property
    def is_open(self) -> bool:
        return self.status in {"PendingSubmit", "PreSubmitted", "Submitted"}

    @property
    def avg_px(self) -> Decimal:
        return self.value / self.filled if self.filled else Decimal(0)


@dataclass(frozen=True)
class Executed:
    """One revision of an execution."""

    exec_id: str
    order: Placed
    at: datetime
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    commission: Decimal


def frame(fields: Fields) -> bytes:
    """A message: its length, then fields that end in zeros."""
    body = "".join(f"{'' if field is None else field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def placed(fields: Sequence[str], client_id: int, perm_id: int) -> Placed:
    """A placeOrder message (3)."""
    return Placed(
        order_id=int(fields[1]),
        client_id=client_id,
        perm_id=perm_id,
        con_id=int(fields[2]),
        symbol=fields[3],
        action=fields[16],
        qty=Decimal(fields[17]),
        kind=fields[18],
        limit=_number(fields[19]),
        aux=_number(fields[20]),
        tif=fields[21],
        account=fields[23],
        ref=fields[26],
        limit_offset=_number(fields[-22]),
    )


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def zoned(at: datetime) -> str:
    return at.strftime("%Y%m%d %H:%M:%S UTC")


def _contract(symbol: str, con_id: int) -> list[object]:
    """conId .. tradingClass, as open orders, executions and positions have it (with the exchange)."""
    return [con_id, symbol, "STK", "", 0, "?", "", "SMART", "USD", symbol, "NMS"]


def open_order(order: Placed) -> Fields:
    head = [5, order.order_id, *_contract(order.symbol, order.con_id), order.action, order.qty, order.kind]
    head += [order.limit or "0.0", order.aux or "0.0", order.tif, "", order.account, "", 0, order.ref]
    head += [order.client_id, order.perm_id, 0, 0, 0, "", "", "", "", "", "", "", "", "", "", 0, "", -1, 0]
    head += [UNSET, UNSET, UNSET, UNSET, UNSET, 0, 0, 0, 0, 2147483647, 3, 0, 0, "", 0, 0, UNSET, 0, "None", UNSET]
    head += [*_deltas(order), 0, 0, UNSET, UNSET, 2147483647, 2147483647, ""]
    legs = [0, 0, 0, 2147483647, 2147483647, UNSET, "", 0, "", "IB", 0, 0, ""]
    state = [0, 0, order.status, *[UNSET] * 9, UNSET, UNSET, UNSET, "", "", 0, 0, 0]
    tail = ["None", UNSET, UNSET, order.limit_offset or UNSET, UNSET, UNSET, UNSET, 0, "", "", "", 0, 1, 0, 0, 0]
    return [*head, *legs, *state, *tail, 2147483647, 2147483647, 0, 2147483647, 2147483647, UNSET, UNSET, UNSET]


def _deltas(_order: Placed) -> list[object]:
    """The delta-neutral fields that follow a type of None."""
    return [0, "", "", "", "?", 0, 0, ""]


def order_status(order: Placed) -> Fields:
    last = order.avg_px
    numbers = [order.filled, order.leaves, order.avg_px, order.perm_id, 0, last, order.client_id]
    return [3, order.order_id, order.status, *numbers, "", 0]


def completed_order(order: Placed) -> Fields:
    filled = order.status == "Filled"
    head = [101, *_contract(order.symbol, order.con_id), order.action, 0 if filled else order.qty, order.kind]
    head += [order.limit or "0.0", order.aux or "0.0", order.tif, "", order.account, "", 0, order.ref, order.perm_id]
    head += [0, 0, 0, "", "", "", "", "", "", "", "", "", 0, "", -1]
    head += [UNSET, UNSET, UNSET, UNSET, UNSET, 2147483647, 0, 0, 2147483647, 3, 0, UNSET, 0, "None", UNSET]
    head += [0, 0, 0, "", 0, 0, UNSET, UNSET, ""]
    legs = [0, 0, 0, 2147483647, 2147483647, UNSET, "", "", "IB", 0, 0, "", 0, order.status, 0, 0, 0]
    at = zoned(order.completed_at) if order.completed_at else ""
    tail = [UNSET, order.limit_offset or UNSET, 0, 1, 0, "", order.filled, 2147483647, 0, "Not an insider", 0, 0, ""]
    return [*head, *legs, *tail, at, order.completed_status, 2147483647, 2147483647, UNSET, UNSET, UNSET]


def execution(request_id: int, done: Executed) -> Fields:
    order = done.order
    side = "BOT" if order.action == "BUY" else "SLD"
    head = [11, request_id, order.order_id, *_contract(order.symbol, order.con_id), done.exec_id, zoned(done.at)]
    head += [order.account, "ISLAND", side, done.qty, done.price, order.perm_id, order.client_id, 0, done.cum_qty]
    return [*head, done.price, order.ref, "", "", "", 2, 0]


def commission(done: Executed) -> Fields:
    return [59, 1, done.exec_id, done.commission, "USD", UNSET, UNSET, ""]


def contract_details(request_id: int, symbol: str, con_id: int, step: str) -> Fields:
    head = [10, request_id, symbol, "STK", "", 0, "", "SMART", "USD", symbol, "NMS", "NMS", con_id, "0.01", ""]
    hours = "20130220:0930-20130220:1600"
    names = ["", "SMART", 1, 0, f"{symbol} INC", "NASDAQ", "", "Technology", "Computers", "Software", "US/Eastern"]
    names[0] = ORDER_TYPES
    return [*head, *names, hours, hours, "", "", 0, 1, "", "", "26,26", "", "COMMON", step, step, "100"]


def position(account: str, symbol: str, con_id: int, qty: Decimal, cost: Decimal) -> Fields:
    return [61, 3, account, con_id, symbol, "STK", "", 0, "", "", "NASDAQ", "USD", symbol, "NMS", qty, cost]


def summary(request_id: int, account: str, tag: str, value: Decimal, currency: str) -> Fields:
    return [63, 1, request_id, account, tag, value, currency]


def price_tick(request_id: int, kind: int, price: Decimal) -> Fields:
    return [1, 6, request_id, kind, price, 100, 0]


def size_tick(request_id: int, kind: int, size: Decimal) -> Fields:
    return [2, 6, request_id, kind, size]


def generic_tick(request_id: int, kind: int, value: str) -> Fields:
    return [45, 6, request_id, kind, value]


def text_tick(request_id: int, kind: int, value: str) -> Fields:
    return [46, 6, request_id, kind, value]


def error(number: int, code: int, text: str) -> Fields:
    return [4, 2, number, code, text, ""]
