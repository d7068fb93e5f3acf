"""What a broker books without an order of ours: busts, corrections, cash entries, splits and dividends."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from benchmarks.chaos.market import NO_PAYLOAD
from benchmarks.chaos.shop import Shop
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse

ACTIONS = (("split", "0.8", None), ("cash_dividend", "0.99", "0.37"))  # kind, price factor, USD a share


def restate(shop: Shop, times: int) -> None:
    """Take back or correct executions that stand, drawn at random: price, quantity, or all of it."""
    for _ in range(times):
        standing = list(_standing(shop))
        if standing:
            _restate(shop, shop.rng.choice(standing))


def _standing(shop: Shop) -> Iterator[dict[str, Any]]:
    """What counts, but for symbols that were split: their shares are others since."""
    ledger = shop.exchange.admin("GET", "ledger")
    split = {entry["symbol"] for entry in ledger["activities"] if entry["activity_type"] == "SPLIT"}
    return (fill for fill in ledger["fills"] if fill["is_live"] and fill["symbol"] not in split)


def _restate(shop: Shop, fill: dict[str, Any]) -> None:
    path = f"executions/{fill['id'].rpartition('::')[2]}"
    if shop.rng.random() < 0.4:
        shop.exchange.admin("POST", f"{path}/bust")
        return
    price = Decimal(fill["price"]) + Decimal(shop.rng.randint(-20, 20)) / 100
    qty = max(Decimal(fill["qty"]) - shop.rng.choice((0, 0, 1)), Decimal(1))
    shop.exchange.admin("POST", f"{path}/correct", {"qty": str(qty), "price": str(price)})


def enter(shop: Shop, times: int) -> None:
    """Fees, interest and transfers, as an administrator enters them."""
    for _ in range(times):
        kind, amount = shop.rng.choice((("FEE", "-1.27"), ("INT", "0.83"), ("CSD", "2500"), ("CSW", "-1999.99")))
        body = {"activity_type": kind, "net_amount": amount, "description": "chaos"}
        shop.exchange.admin("POST", "entries", body)


def announce(shop: Shop) -> None:
    """A split and a dividend of two symbols each, on the morning of the session that comes next."""
    session = shop.server.market.sessions[shop.server.market.sessions.index(shop.session) + 1].session
    symbols = shop.rng.sample(sorted(shop.server.market.symbols), 2 * len(ACTIONS))
    with Warehouse(shop.settings, Role.OWNER).transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into raw.corporate_actions (instrument_id, ex_session, ingested_at, available_at, kind,"
            " price_factor, value, provider, payload_sha256)"
            " select instrument_id, %s, now(), now(), %s, %s, %s, 'chaos', %s"
            " from reference.instruments where symbol = %s",
            [
                (session, *action, NO_PAYLOAD, symbol)
                for action, pair in zip(ACTIONS, (symbols[:2], symbols[2:]), strict=True)
                for symbol in pair
            ],
        )
