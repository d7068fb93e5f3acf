"""kill -9 at moments nobody chose, of the daemon, of the exchange, and of both."""

from __future__ import annotations

from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop


@scenario("kill -9 of the daemon at random times, three sessions long")
def killed_at_random(shop: Shop) -> None:
    """Each session with one death or two, from before the batch is seen to after the close."""
    shop.start()
    for _ in range(3):
        for _ in range(shop.rng.randint(1, 2)):
            shop.plan(shop.rng.uniform(0, 0.6), shop.daemon.kill)
        shop.trade()


@scenario("kill -9 of the daemon again and again, some of them before it is ready")
def killed_while_starting(shop: Shop) -> None:
    """A start that is cut short must not make the next one start from something worse."""
    shop.start()
    shop.post()
    for _ in range(5):
        shop.wait(shop.rng.uniform(0.2, 1.5))
        shop.daemon.kill()
    shop.close_session()


@scenario("kill -9 of the exchange at random times, back a moment later")
def exchange_killed(shop: Shop) -> None:
    """Silence is not refusal: orders are unknown until the exchange, back again, proves what became of them."""
    shop.start()
    for _ in range(2):
        shop.plan(shop.rng.uniform(0, 0.3), lambda: _exchange_away(shop))
        shop.trade()
        shop.calm()


def _exchange_away(shop: Shop) -> None:
    shop.fault()
    shop.exchange.kill()
    shop.plan(shop.rng.uniform(0.1, 1.5), shop.exchange.start)


@scenario("kill -9 of the exchange and of the daemon at random times")
def both_killed(shop: Shop) -> None:
    """What one of them would have told the other is gone on both sides."""
    shop.start()
    shop.plan(shop.rng.uniform(0, 0.3), lambda: _exchange_away(shop))
    shop.plan(shop.rng.uniform(0, 0.6), shop.daemon.kill)
    shop.trade()
    shop.calm()


@scenario("the session goes on while the daemon is dead: opens, fills and closes without it")
def dead_through_the_session(shop: Shop) -> None:
    """Fills made meanwhile are in no stream that it will ever hear."""
    shop.start()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.4))
    shop.tends = False
    shop.daemon.kill()
    shop.move_clock(shop.session.open_at)
    shop.move_clock(shop.session.close_at)
    shop.tends = True
    shop.next_session()
