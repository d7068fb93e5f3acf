"""What the tests ask of the exchange over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

BEFORE = timedelta(minutes=30)
SESSION = "2013-02-20"


def order(client_order_id: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "client_order_id": client_order_id,
        "symbol": "MSFT",
        "side": "buy",
        "type": "market",
        "time_in_force": "opg",
        "qty": "100",
    }
    return plain | changes


def send(trader: httpx.Client, name: str, **changes: Any) -> dict[str, Any]:
    response = trader.post("/v2/orders", json=order(name, **changes))
    assert response.status_code == 200, response.text
    return dict(response.json())


def fills(trader: httpx.Client) -> list[tuple[str, str, str]]:
    rows = trader.get("/v2/account/activities/FILL", params={"direction": "asc"}).raise_for_status().json()
    return [(row["client_order_id"], row["qty"], row["price"]) for row in rows]
