"""Alpaca's trading API v2 behind the broker port; the paper exchange speaks the same.

Nothing here sends an order twice. Reads are tried a few times; `POST` and `DELETE` once. What is not proven is
BrokerUnclear. Alpaca's own fills carry no commission (zero: its fees come as adjustments); the paper exchange's do.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from bifrost_core.settings import Settings
from execution_daemon.brokers import alpaca_adjustments as ledger
from execution_daemon.brokers import alpaca_wire as wire
from execution_daemon.brokers.alpaca_http import AlpacaHttp, code_of, is_loopback, json_of, refusal, success
from execution_daemon.brokers.alpaca_stream import PING_SECONDS, PROOF_SECONDS, AlpacaStream
from execution_daemon.brokers.port import (
    Adjustment,
    BrokerAccount,
    BrokerOrder,
    BrokerOrderState,
    BrokerPosition,
    BrokerRefused,
    BrokerUnclear,
    ExecKind,
    ExecutionReport,
    LastTrade,
    Side,
    StreamEvent,
    Tradability,
    turns,
)

ALPACA_DATA_URL = "https://data.alpaca.markets"
ORDERS_PAGE, ACTIVITIES_PAGE, PAGES_MAX = 500, 100, 1_000
ASSETS_ONE_BY_ONE = 8  # more are asked for in one list: Alpaca allows 200 requests a minute
NAMES_KEPT = 10_000
DUPLICATE_CODE = 40010001
UNSUPPORTED_CODE = "unsupported"


class AlpacaBroker:
    """A client of one account. Make it on the event loop that uses it, and `close()` it.

    `timeout_seconds` bounds every wait for an answer; `ping_seconds` and `proof_seconds` are how often the event stream
    has to prove that it is alive (see `alpaca_stream`).
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        timeout_seconds: float = 5.0,
        data_url: str = "",
        ping_seconds: float = PING_SECONDS,
        proof_seconds: float = PROOF_SECONDS,
    ) -> None:
        self._http = AlpacaHttp(url, key, secret, timeout_seconds)
        self._data_url = (data_url or _data_url(self._http.url)).rstrip("/")
        self._has_snapshots = True
        self._names: OrderedDict[str, str] = OrderedDict()
        self._stream = AlpacaStream(
            self._http.url, key, secret, self._newest, timeout_seconds, ping_seconds, proof_seconds
        )

    @classmethod
    def of(cls, settings: Settings) -> AlpacaBroker:
        """The broker of the settings: the configured one, else the local paper exchange."""
        secrets = settings.secrets
        return cls(settings.trading_url, secrets.broker_key, secrets.broker_secret, settings.send_timeout_seconds)

    @property
    def name(self) -> str:
        """`alpaca`, or `paper` for an exchange on this machine."""
        return "paper" if is_loopback(self._http.url) else "alpaca"

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.close()

    def events(self) -> AsyncIterator[StreamEvent]:
        """Trade updates for ever. Only refused credentials end it (BrokerUnclear)."""
        return self._stream.events()

    # -- orders -------------------------------------------------------------------------------------------------------

    async def submit(self, order: BrokerOrder) -> ExecutionReport:
        """POST the order, once; what the venue cannot do is refused without sending it."""
        if reason := wire.objection(order, has_extensions=self.name == "paper"):
            raise BrokerRefused(await self._rejection(order, reason), UNSUPPORTED_CODE)
        request = wire.order_request(await self._as_taken(order))
        response = await self._http.once("POST", "/v2/orders", content=json.dumps(request))
        if response.is_success:
            state = wire.reading("answer to an order", lambda: wire.order_state(json_of(response)))
            if state.client_order_id != order.client_order_id:
                raise BrokerUnclear(f"the broker answered for {state.client_order_id}, not for {order.client_order_id}")
            self._remember(state)
            return wire.report_of(state)
        code, message = refusal(response)
        if code == DUPLICATE_CODE and _says_duplicate(message):
            return await self._existing(order)
        raise BrokerRefused(await self._rejection(order, message), str(code))

    async def _as_taken(self, order: BrokerOrder) -> BrokerOrder:
        """The order as this venue takes it: Alpaca has no reduce-only, so it is held against the position here.

        What else works against that position is the daemon's to count. Raises BrokerRefused where it would be turned.
        """
        if self.name == "paper" or not order.terms.reduce_only:
            return order
        if reason := turns(order, await self.positions()):
            raise BrokerRefused(await self._rejection(order, reason), UNSUPPORTED_CODE)
        return replace(order, terms=replace(order.terms, reduce_only=False))

    async def _existing(self, order: BrokerOrder) -> ExecutionReport:
        state = await self.find(order.client_order_id)
        if state is None:
            raise BrokerUnclear(f"the broker says {order.client_order_id} is used, and that it does not have it")
        return wire.report_of(state)

    async def cancel(self, client_order_id: str) -> None:
        """Look the order up, then DELETE it, once."""
        state = await self.find(client_order_id)
        if state is None:
            unknown = ExecutionReport(ExecKind.REJECTED, client_order_id, "", "", Side.BUY, await self._now())
            raise BrokerRefused(replace(unknown, text="order not found"), "40410000")
        response = await self._http.once("DELETE", f"/v2/orders/{state.broker_order_id}")
        if not response.is_success:
            code, message = refusal(response)
            raise BrokerRefused(await self._rejection(state, message), str(code))

    async def _rejection(self, order: BrokerOrder | BrokerOrderState, message: str) -> ExecutionReport:
        return ExecutionReport(
            kind=ExecKind.REJECTED,
            client_order_id=order.client_order_id,
            broker_order_id=getattr(order, "broker_order_id", ""),
            symbol=order.symbol,
            side=order.side,
            at=await self._now(),
            text=message,
        )

    async def _now(self) -> datetime:
        """Market time for a refusal, which carries none; this machine's if the broker will not say."""
        try:
            return await self.market_time()
        except BrokerUnclear:
            return datetime.now(UTC)

    async def find(self, client_order_id: str) -> BrokerOrderState | None:
        """GET the order by the client's id; only a 404 in Alpaca's own form proves that it is not there."""
        params = {"client_order_id": client_order_id}
        response = await self._http.read("/v2/orders:by_client_order_id", params)
        if response.status_code == httpx.codes.NOT_FOUND and code_of(response) is not None:
            return None
        state = wire.reading("order", lambda: wire.order_state(success(response)))
        self._remember(state)
        return state

    async def open_orders(self) -> tuple[BrokerOrderState, ...]:
        """GET every open order, paged."""
        return await self._orders({"status": "open"})

    async def orders(self, since: datetime | None = None) -> tuple[BrokerOrderState, ...]:
        """GET every order from `since` on, paged."""
        return await self._orders({"status": "all"} | _after(since))

    async def _orders(self, params: dict[str, str]) -> tuple[BrokerOrderState, ...]:
        found: list[BrokerOrderState] = []
        page = params | {"direction": "asc", "limit": str(ORDERS_PAGE)}
        for _ in range(PAGES_MAX):
            rows = await self._http.get("/v2/orders", page)
            states = wire.reading("orders", lambda rows=rows: [wire.order_state(row) for row in rows])  # type: ignore[misc]
            found += states
            if len(states) < ORDERS_PAGE:
                for state in found:
                    self._remember(state)
                return tuple(found)
            # Orders may share a submission time, so pages go by id; the API takes no time bound beside it.
            page = {"status": params["status"], "direction": "asc", "limit": str(ORDERS_PAGE)}
            page["after_order_id"] = states[-1].broker_order_id
        raise BrokerUnclear(f"the broker has more than {PAGES_MAX} pages of orders", "Ask for a shorter time")

    async def fills(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """GET every FILL activity from `since` on, paged: executions, and what was taken back or corrected."""
        found = []
        for row in await self._activities("/v2/account/activities/FILL", _after(since)):
            name = await self._client_order_id(row)
            found.append(wire.reading("fill", lambda row=row, name=name: wire.fill(row, name)))  # type: ignore[misc]
        return tuple(found)

    async def lists_from(self) -> datetime | None:
        """None: Alpaca lists an account's whole history."""
        return None

    def recall(self, commissions: Mapping[str, Decimal]) -> None:
        """Nothing: Alpaca's activities are the same whenever they are read."""

    async def adjustments(self, since: datetime | None = None) -> tuple[Adjustment, ...]:
        """GET every activity that is no trade from `since` on, paged; from a day earlier, for some have only a date."""
        params = {"category": "non_trade_activity"} | _after(since and since - timedelta(days=1))
        rows = await self._activities("/v2/account/activities", params)
        read = wire.reading("activities", lambda: [(row, ledger.adjustment(row)) for row in rows])
        return tuple(entry for row, entry in read if ledger.is_since(row, entry.at, since))

    async def _activities(self, path: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Every page, oldest first."""
        found: list[Mapping[str, Any]] = []
        page = {"direction": "asc", "page_size": str(ACTIVITIES_PAGE), **params}
        for _ in range(PAGES_MAX):
            rows = await self._http.get(path, page)
            found += wire.reading("activities", lambda rows=rows: [dict(row) for row in rows])  # type: ignore[misc]
            if len(rows) < ACTIVITIES_PAGE:
                return found
            page["page_token"] = str(found[-1].get("id"))
        raise BrokerUnclear(f"the broker has more than {PAGES_MAX} pages of activities", "Ask for a shorter time")

    async def _newest(self) -> set[str]:
        """The broker's ids of the newest order and the newest execution."""
        orders = {"status": "all", "direction": "desc", "limit": "1"}
        fills = {"direction": "desc", "page_size": "1"}
        rows = [await self._http.get("/v2/orders", orders), await self._http.get("/v2/account/activities/FILL", fills)]
        return wire.reading("newest", lambda: set().union(*map(wire.told_ids, rows)))

    async def _client_order_id(self, activity: Mapping[str, Any]) -> str:
        """Activities name the broker's order id only; the paper exchange adds ours."""
        if name := activity.get("client_order_id"):
            return str(name)
        order_id = wire.reading("fill", lambda: str(activity["order_id"]))
        if order_id not in self._names:
            fields = await self._http.get(f"/v2/orders/{order_id}", {})
            self._remember(wire.reading("order", lambda: wire.order_state(fields)))
        return self._names[order_id]

    def _remember(self, state: BrokerOrderState) -> None:
        self._names[state.broker_order_id] = state.client_order_id
        if len(self._names) > NAMES_KEPT:
            self._names.popitem(last=False)

    # -- account and market -------------------------------------------------------------------------------------------

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """GET the positions."""
        rows = await self._http.get("/v2/positions", {})
        return wire.reading("positions", lambda: tuple(p for p in map(wire.position, rows) if p.qty))

    async def account(self) -> BrokerAccount:
        """GET the account."""
        fields = await self._http.get("/v2/account", {})
        return wire.reading("account", lambda: wire.account(fields))

    async def market_time(self) -> datetime:
        """GET the clock."""
        fields = await self._http.get("/v2/clock", {})
        return wire.reading("clock", lambda: wire.clock(fields))

    async def last_trade(self, symbols: Iterable[str]) -> Mapping[str, LastTrade]:
        """GET snapshots; where the data service has none, the latest trades and, if it has them, quotes."""
        if not (names := ",".join(symbols)):
            return {}
        if self._has_snapshots and (snapshots := await self._data("snapshots", names)) is not None:
            return wire.reading("snapshots", lambda: wire.snapshots(snapshots))
        self._has_snapshots = False
        trades, quotes = await asyncio.gather(self._data("trades/latest", names), self._data("quotes/latest", names))
        return wire.reading("latest trades", lambda: wire.last_trades(trades, quotes or {"quotes": {}}))

    async def _data(self, what: str, symbols: str) -> Any:
        """An answer of the market data service; None if it does not offer this."""
        response = await self._http.read(f"{self._data_url}/v2/stocks/{what}", {"symbols": symbols})
        return None if response.status_code == httpx.codes.NOT_FOUND else success(response)

    async def tradability(self, symbols: Iterable[str]) -> Mapping[str, Tradability]:
        """GET each asset, or, for many, the list of all; an asset that Alpaca says it lacks is left out."""
        wanted = set(symbols)
        if len(wanted) > ASSETS_ONE_BY_ONE:
            return {symbol: asset for symbol, asset in (await self._assets(wanted)).items() if symbol in wanted}
        found = await asyncio.gather(*(self._asset(symbol) for symbol in sorted(wanted)))
        return {asset.symbol: asset for asset in found if asset is not None}

    async def _assets(self, symbols: Collection[str]) -> Mapping[str, Tradability]:
        """All that can be traded, in one request; the paper exchange heeds `symbols`, Alpaca lists everything."""
        given = {"status": "active", "asset_class": "us_equity", "symbols": ",".join(sorted(symbols))}
        listed = await self._http.get("/v2/assets", given)
        return wire.reading("assets", lambda: {asset.symbol: asset for asset in map(wire.asset, listed)})

    async def _asset(self, symbol: str) -> Tradability | None:
        response = await self._http.read(f"/v2/assets/{quote(symbol, safe='')}", {})
        if response.status_code == httpx.codes.NOT_FOUND and code_of(response) is not None:
            return None
        return wire.reading("asset", lambda: wire.asset(success(response)))


def _says_duplicate(message: str) -> bool:
    plain = message.lower().replace("_", " ")
    return "client order id" in plain and "unique" in plain


def _after(since: datetime | None) -> dict[str, str]:
    """Alpaca's `after` is exclusive and its ids know milliseconds: begin one earlier."""
    return {} if since is None else {"after": (since.astimezone(UTC) - timedelta(milliseconds=1)).isoformat()}


def _data_url(url: str) -> str:
    return ALPACA_DATA_URL if (urlsplit(url).hostname or "").endswith(".alpaca.markets") else url
