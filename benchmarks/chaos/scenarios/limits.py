"""What must stop trading: kill switches engaged while a batch goes out, and limits that bind."""

from __future__ import annotations

from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop


@scenario("the account's kill switch is engaged by another process while a batch goes out")
def killed_mid_batch(shop: Shop) -> None:
    """What is sent is sent; nothing follows it."""
    shop.start()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.25))
    shop.kill_switch(engaged=True)
    shop.wait(1.0)
    shop.kill_switch(engaged=False)
    shop.close_session()


@scenario("a kill switch engaged while the daemon is dead with orders on their way")
def killed_while_dead(shop: Shop) -> None:
    """What was committed before is not sent after: it ends, proven unsent."""
    shop.start()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.2))
    shop.tends = False
    shop.daemon.kill()
    shop.kill_switch(engaged=True)
    shop.tends = True
    shop.wait(2.0)
    shop.kill_switch(engaged=False)
    shop.close_session()


@scenario("limits so tight that they bind, with deaths between decision and fill")
def tight_limits(shop: Shop) -> None:
    """What is reserved at the intent is reserved by the database, whatever the daemon remembers."""
    for code, value in (("MAX_GROSS", "0.6"), ("MAX_POSITION", "20000")):
        shop.change("limit", {"account": shop.settings.account, "code": code, "value": value})
    shop.start()
    for _ in range(2):
        shop.plan(shop.rng.uniform(0, 0.5), shop.daemon.kill)
        shop.trade()
