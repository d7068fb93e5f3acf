"""The dead-man switch: a process of its own that halts the account when nobody renews its lease any more.

It watches trading.leases. A lease that is held and does not change for `deadman_seconds` is missed, whatever the cause:
the daemon was killed or stopped, or the warehouse is away. Then it engages the account's kill switch and cancels every
open order at the broker over its own connection, and tries until both are done. A lease that was let go is not missed,
and one that a standby takes over is not either: its epoch changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from bifrost_core.errors import BifrostError, BrokerError
from bifrost_core.settings import Settings, load_settings
from execution_daemon.brokers.choose import broker_of
from execution_daemon.brokers.port import Broker, BrokerRefused
from execution_daemon.errors import LeaseLost, StoreFailed
from execution_daemon.shell.clock import this_host
from execution_daemon.shell.postgres import PostgresGateway
from execution_daemon.shell.store import Statements

log = logging.getLogger("bifrost.deadman")
COMPONENT = "deadman"
LOOKS_PER_PERIOD = 20
LOOK_SECONDS_MAX = 1.0
BROKER_SECONDS = 5.0
RETRY_SECONDS = 0.5
BEAT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leads, in which epoch, and until when if nothing is heard; an empty holder is nobody."""

    holder: str
    epoch: int
    expires_at: Any


class Watch:
    """Decides when a lease is missed. Time is counted look by look, so that what nobody watched does not count."""

    def __init__(self, missed_seconds: float, look_seconds: float) -> None:
        self._missed_seconds = missed_seconds
        # a warehouse that hangs is waited for at each look; a pause of the switch's own is no silence
        self._longest = max(2 * look_seconds, min(2 * look_seconds + BROKER_SECONDS, missed_seconds / 2))
        self._seen: Lease | None = None
        self._unchanged = 0.0
        self._looked_at: float | None = None
        self._fired_for: tuple[str, int] | None = None

    @property
    def seen(self) -> Lease | None:
        """The lease as it was last read; None where there never was one."""
        return self._seen

    def look(self, lease: Lease | None, is_known: bool, now: float) -> bool:
        """Whether to act now. `is_known` is false where the warehouse did not say; `now` is in seconds, monotonic."""
        elapsed = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest)
        self._looked_at = now
        if is_known and lease != self._seen:
            self._seen, self._unchanged, self._fired_for = lease, 0.0, None
            return False
        self._unchanged += elapsed
        seen = self._seen
        if seen is None or not seen.holder or self._unchanged < self._missed_seconds:
            return False
        if self._fired_for == (seen.holder, seen.epoch):
            return False
        self._fired_for = (seen.holder, seen.epoch)
        return True


class Warehouse:
    """The daemon's statements on a connection that is made anew after each failure."""

    def __init__(self, settings: Settings) -> None:
        self._gateway = PostgresGateway(settings)
        self._account = settings.account
        self._statements: Statements | None = None

    async def rows(self, name: str, params: Mapping[str, Any]) -> list[DictRow]:
        """The rows of a statement. Raises StoreFailed where the warehouse does not answer in time."""
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                if self._statements is None:
                    self._statements = await self._gateway.statements()
                return await self._statements.rows(name, {"account": self._account, **params})
        except (StoreFailed, LeaseLost, TimeoutError, OSError) as error:
            await self.close()
            raise StoreFailed(f"the warehouse does not answer: {error}", "Run `bifrost db start`") from error

    async def lease(self) -> Lease | None:
        """The account's lease. Raises StoreFailed."""
        rows = await self.rows("lease", {})
        return Lease(rows[0]["holder"], rows[0]["epoch"], rows[0]["expires_at"]) if rows else None

    async def close(self) -> None:
        """Let go of the connection, whatever state it is in."""
        statements, self._statements = self._statements, None
        if statements is not None:
            with contextlib.suppress(Exception):
                await statements.close()


class Deadman:
    """Watches for ever. `monotonic` is in seconds."""

    def __init__(self, settings: Settings, broker: Broker, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.broker = broker
        self.warehouse = Warehouse(settings)
        self.look_seconds = min(settings.deadman_seconds / LOOKS_PER_PERIOD, LOOK_SECONDS_MAX)
        self._watch = Watch(settings.deadman_seconds, self.look_seconds)
        self._monotonic = monotonic
        self._state = "watching"
        self._told = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beats(), name="beats")
                while True:
                    if await self._look():
                        group.create_task(self._act(), name="act")
                    await asyncio.sleep(self.look_seconds)
        finally:
            await self.warehouse.close()

    async def _look(self) -> bool:
        try:
            lease, is_known = await self.warehouse.lease(), True
            self._told = ""
        except StoreFailed as error:
            lease, is_known = None, False
            self._tell(str(error))
        return self._watch.look(lease, is_known, self._monotonic())

    def _tell(self, what: str) -> None:
        """Say it once for as long as it stays the same."""
        if what != self._told:
            log.warning("%s", what)
        self._told = what

    async def _act(self) -> None:
        """Halt and cancel, at once and side by side: each goes on until it is done."""
        lease = self._watch.seen
        assert lease is not None
        reason = (
            f"dead-man switch: the lease of account {self.settings.account}, held by {lease.holder} in epoch"
            f" {lease.epoch}, was not renewed for {self.settings.deadman_seconds:g} s"
        )
        log.error("%s", reason)
        self._state = "acting"
        _halted, canceled = await asyncio.gather(self._insist(lambda: self._halt(reason)), self._cancel_all(lease))
        detail = {"reason": reason, "holder": lease.holder, "epoch": lease.epoch, "canceled": canceled}
        await self._insist(lambda: self.warehouse.rows("record_deadman", {"detail": json.dumps(detail)}))
        log.error("the account is halted; %d orders were canceled at the broker", len(canceled))
        self._state = "watching"

    async def _halt(self, reason: str) -> None:
        switch = {"scope": "account", "key": self.settings.account, "engaged": True, "reason": reason}
        at = this_host().now()
        await self.warehouse.rows("set_kill_switch", {**switch, "actor": COMPONENT, "at": at})

    async def _insist(self, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await work()
                return
            except StoreFailed as error:
                self._tell(str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _cancel_all(self, missed: Lease) -> list[str]:
        """Cancel until the broker shows no open order, or somebody leads the account again; the ids it canceled."""
        asked: dict[str, None] = {}
        while not self._is_led_again(missed):
            try:
                async with asyncio.timeout(BROKER_SECONDS):
                    orders = await self.broker.open_orders()
                if not orders:
                    break
                for order in orders:
                    if await self._cancel(order.client_order_id):
                        asked[order.client_order_id] = None
            except (BrokerError, TimeoutError, OSError) as error:
                self._tell(f"the broker does not answer: {error}")
            await asyncio.sleep(RETRY_SECONDS)
        return list(asked)

    def _is_led_again(self, missed: Lease) -> bool:
        """Whether the lease has moved since: whoever holds it knows the orders, and the switch stands."""
        seen = self._watch.seen
        return seen is not None and bool(seen.holder) and seen != missed

    async def _cancel(self, client_order_id: str) -> bool:
        """Whether the broker took the cancel; one that it does not answer does not keep it from the others."""
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await self.broker.cancel(client_order_id)
        except BrokerRefused as refusal:
            log.warning("%s", refusal)  # it has ended meanwhile: the next look tells
            return False
        except (BrokerError, TimeoutError, OSError) as error:
            self._tell(f"the broker does not answer the cancel of {client_order_id}: {error}")
            return False
        return True

    async def _beats(self) -> None:
        detail = json.dumps({"after_seconds": self.settings.deadman_seconds})
        while True:
            beat = {"component": COMPONENT, "holder": this_host().name, "state": self._state, "market_time": None}
            with contextlib.suppress(StoreFailed):
                await self.warehouse.rows("beat", {**beat, "detail": detail})
            await asyncio.sleep(BEAT_SECONDS)


def run(settings: Settings) -> None:
    """Watch until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """The switch for the account and broker of the settings, until it is told to stop."""
    broker = broker_of(settings, is_overseer=True)
    watching = asyncio.ensure_future(Deadman(settings, broker).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, watching.cancel)
    log.info("watching the lease of account %s", settings.account)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    finally:
        await broker.close()


if __name__ == "__main__":
    try:
        run(load_settings())
    except BifrostError as error:
        sys.exit(str(error))
