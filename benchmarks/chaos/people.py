"""What a person has the daemon do, asked again under one key until it answers: done once, whoever dies meanwhile."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import httpx

from benchmarks.chaos.shop import Shop

CENT = Decimal("0.01")
AGAIN = 409  # it is being carried out; above 500 the daemon cannot say


def ask(shop: Shop, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a command; a refusal is noted, and is an answer."""
    key = str(uuid.UUID(int=shop.rng.getrandbits(128)))
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        if not shop.daemon.is_running:
            return False
        try:
            answer = shop.daemon.request("POST", path, body, key=key)
        except httpx.TransportError:
            return False
        if answer.status_code != AGAIN and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            answers.append(answer)
        return bool(answers)

    shop.until(is_answered, f"an answer to {path}")
    if not answers[0].is_success:
        shop.notes.append(f"{path} was refused: {answers[0].json().get('detail')}")
    return dict(answers[0].json())


def cancel_all(shop: Shop) -> None:
    """Whatever is open, and whatever is worked over the day."""
    ask(shop, "/cancel-all", {"reason": "chaos"})


def bracket(shop: Shop) -> dict[str, Any]:
    """Bought in the opening auction; then offered above, and protected below."""
    symbol, price = _any_symbol(shop)
    above, below = price * Decimal("1.01"), price * Decimal("0.99")
    exits = {"take_profit": _text(above), "stop_loss": _text(below)}
    return {"symbol": symbol, "side": "buy", "qty": _qty(shop), "time_in_force": "opg", **exits}


def one_then_the_other(shop: Shop) -> dict[str, Any]:
    """Bought in the opening auction, and what was bought is sold at a limit once all of it was."""
    symbol, price = _any_symbol(shop)
    qty = _qty(shop)
    rest = {"symbol": symbol, "side": "sell", "qty": qty, "order_type": "limit", "limit_price": _text(price)}
    return {"symbol": symbol, "side": "buy", "qty": qty, "time_in_force": "opg", "then": [rest]}


def sliced(shop: Shop) -> dict[str, Any]:
    """Bought in slices until the close."""
    symbol, _price = _any_symbol(shop)
    qty = str(int(_qty(shop)) * 10)
    end = shop.session.close_at.isoformat()
    return {"symbol": symbol, "side": "buy", "qty": qty, "schedule": "twap", "end_at": end}


def resting(shop: Shop) -> dict[str, Any]:
    """A limit order that waits in the book, to be amended."""
    symbol, price = _any_symbol(shop)
    limit = _text(price * Decimal("0.98"))
    return {"symbol": symbol, "side": "buy", "qty": _qty(shop), "order_type": "limit", "limit_price": limit}


def amend_one(shop: Shop) -> None:
    """Change the price of an order that works, if one does."""
    rows = shop.read(
        "select client_order_id, limit_price from trading.orders where order_type = 'limit' and release is null"
        " and ord_status in ('new', 'partially_filled') order by client_order_id limit 1"
    )
    for key, limit in rows:
        ask(shop, f"/orders/{key}/amend", {"limit_price": _text(limit * Decimal("1.01"))})


def _any_symbol(shop: Shop) -> tuple[str, Decimal]:
    known = shop.server.market.known_before(shop.session)
    symbol = shop.rng.choice(sorted(known))
    return symbol, known[symbol]


def _qty(shop: Shop) -> str:
    return str(shop.rng.randint(10, 60))


def _text(price: Decimal) -> str:
    return f"{price.quantize(CENT):f}"
