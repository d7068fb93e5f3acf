"""kill -9 between two steps whose order matters: each named failpoint, at its first or a later time."""

from __future__ import annotations

from functools import partial

import httpx

from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop
from execution_daemon.shell.failpoints import FailPoint

LATEST = {  # how often a point is certain to be reached in two sessions of trading; where not named, once
    FailPoint.INTENT_COMMITTED: 12,
    FailPoint.BEFORE_SEND: 12,
    FailPoint.DURING_SEND: 12,
    FailPoint.ORDER_SENT: 12,
    FailPoint.BEFORE_EVENT: 24,
    FailPoint.EVENT_RECORDED: 24,
    FailPoint.BEFORE_FILL: 12,
    FailPoint.FILL_RECORDED: 12,
    FailPoint.MID_RECONCILE: 2,
}


def killed_at(point: FailPoint, shop: Shop) -> None:
    """Trade with a daemon that dies at `point`, and go on with the next one."""
    shop.start(failpoint=f"{point}:{shop.rng.randint(1, LATEST.get(point, 1))}")
    if point is FailPoint.KILL_COMMITTED:
        kill_by_operator(shop)
    shop.trade(2)
    shop.until(lambda: shop.daemon.kills > 0, f"{point} to be reached", 10.0)


def kill_by_operator(shop: Shop) -> None:
    """Engage the account's switch through the control plane; released once the daemon that did it is dead."""
    shop.post()
    body = {"scope": "account", "key": shop.settings.account, "reason": "chaos"}
    try:
        shop.daemon.request("POST", "/halt", body)
    except httpx.TransportError:
        shop.notes.append("the switch's answer was lost with the daemon")
    shop.until(lambda: shop.daemon.kills > 0, "the daemon to die after the kill's commit", 10.0)
    shop.wait(1.0)
    shop.kill_switch(engaged=False)


for _point in FailPoint:
    scenario(f"kill -9 at {_point}, first or later time", name=f"killed_at_{_point}")(partial(killed_at, _point))
