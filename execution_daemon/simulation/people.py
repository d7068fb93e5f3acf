"""What people have the daemon do: orders and what hangs on them, amendments, cancels, and closing everything."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from bifrost_core.errors import BrokerError
from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.core.manual import ManualOrder
from execution_daemon.shell.daemon import Daemon
from execution_daemon.simulation.scenario import Command

CENT = Decimal("0.01")
ONE_OF = 0.3  # of the limit orders, those with another beside them that cancels them


async def command(daemon: Daemon, what: Command, source: random.Random, prices: Mapping[str, Decimal]) -> None:
    """Have it done; a daemon that cannot now says so, and nothing is asked again."""
    number = UUID(int=source.getrandbits(128), version=4)
    symbol, qty = source.choice(sorted(prices)), Decimal(source.randint(1, 200))
    try:
        match what:
            case Command.CANCEL_ALL:
                await daemon.commands.cancel_all("ann", "a scenario")
            case Command.FLATTEN:
                await daemon.commands.flatten("ann", "a scenario", number)
            case Command.CANCEL | Command.AMEND:
                await _change(daemon, what, source, number)
            case Command.LIMIT if source.random() < ONE_OF:  # drawn last: all else is as before
                await daemon.commands.submit_one_of(alternatives(symbol, qty, prices[symbol]), "ann", number)
            case _:
                await daemon.commands.submit(asked(what, symbol, qty, prices[symbol]), "ann", number)
    except BrokerError:
        return


async def _change(daemon: Daemon, what: Command, source: random.Random, number: UUID) -> None:
    """Cancel or amend an order that is open."""
    orders = sorted(order.ticket.client_order_id for order in daemon.parts.keeper.book.open_orders())
    if not orders:
        return
    key = source.choice(orders)
    if what is Command.CANCEL:
        await daemon.commands.cancel(key, "ann", "a scenario")
    else:
        await daemon.commands.amend(key, Decimal(source.randint(1, 300)), None, None, "ann", number)


def asked(what: Command, symbol: str, qty: Decimal, price: Decimal) -> ManualOrder:
    """The order that a person asks for."""
    market, below, above = Terms(), _times(price, "0.99"), _times(price, "1.01")
    match what:
        case Command.BRACKET:
            return ManualOrder(symbol, Side.BUY, qty, market, price, take_profit=above, stop_loss=below)
        case Command.THEN:
            rest = ManualOrder(symbol, Side.SELL, qty, Terms(OrdType.LIMIT, limit_price=above), price)
            return ManualOrder(symbol, Side.BUY, qty, market, price, then=(rest,))
        case Command.SLICED:
            return ManualOrder(symbol, Side.BUY, qty * 5, market, price, schedule="twap")
        case _:
            limit = Terms(OrdType.LIMIT, TimeInForce.DAY, limit_price=below)
            return ManualOrder(symbol, Side.BUY, qty, limit, price)


def alternatives(symbol: str, qty: Decimal, price: Decimal) -> tuple[ManualOrder, ManualOrder]:
    """Bought when it falls, or when it breaks out: only one of them."""
    falls = Terms(OrdType.LIMIT, TimeInForce.DAY, limit_price=_times(price, "0.99"))
    breaks_out = Terms(OrdType.STOP, TimeInForce.DAY, stop_price=_times(price, "1.01"))
    return ManualOrder(symbol, Side.BUY, qty, falls, price), ManualOrder(symbol, Side.BUY, qty, breaks_out, price)


def _times(price: Decimal, factor: str) -> Decimal:
    return (price * Decimal(factor)).quantize(CENT)
