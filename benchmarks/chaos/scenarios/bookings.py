"""What a broker books by itself, while the daemon dies: busts, corrections, fees, transfers, splits and dividends."""

from __future__ import annotations

from benchmarks.chaos import bookings
from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop


@scenario("executions are busted and corrected, with a kill -9 among them")
def executions_restated(shop: Shop) -> None:
    """What was executed is not any more: order, position and cash follow, each time once."""
    shop.start()
    for _ in range(2):
        shop.post()
        shop.open_session()
        shop.plan(shop.rng.uniform(0, 0.4), shop.daemon.kill)
        for _ in range(3):
            bookings.restate(shop, 2)
            shop.wait(shop.rng.uniform(0, 0.3))
        shop.end_session()


@scenario("executions are busted and corrected, and cash is booked, while the daemon is dead")
def restated_while_dead(shop: Shop) -> None:
    """No stream will ever tell: it is all in the ledger, and is heard in one look at it."""
    shop.start()
    shop.trade()
    shop.tends = False
    shop.daemon.kill()
    bookings.restate(shop, 6)
    bookings.enter(shop, 3)
    shop.tends = True
    shop.trade()


@scenario("fees, interest and transfers are booked while a batch goes out, with a kill -9 among them")
def cash_booked(shop: Shop) -> None:
    """Cash that nobody traded for is no break, and is not booked twice."""
    shop.start()
    for _ in range(2):
        shop.post()
        shop.plan(shop.rng.uniform(0, 0.5), shop.daemon.kill)
        for _ in range(4):
            bookings.enter(shop, 1)
            shop.wait(shop.rng.uniform(0, 0.3))
        shop.close_session()


@scenario("splits and dividends in the night, the daemon killed on the evening before or in the morning")
def split_overnight(shop: Shop) -> None:
    """In the morning other shares are held, and other cash, than the fills say."""
    shop.start()
    shop.trade()
    bookings.announce(shop)
    shop.plan(shop.rng.uniform(0, 1.0), shop.daemon.kill)
    shop.trade(2)
