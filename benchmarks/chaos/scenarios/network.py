"""What a network can do between daemon and exchange: each fault alone on every other request, then all together."""

from __future__ import annotations

from functools import partial

from benchmarks.chaos.proxy import Fault, Weather
from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop

ABOUT = {
    Fault.LATENCY: "requests come late",
    Fault.LATE_REQUEST: "orders arrive after the daemon has given them up",
    Fault.CUT_BEFORE: "connections end before the request leaves",
    Fault.CUT_AFTER: "connections end before the answer comes",
    Fault.DROP_ANSWER: "answers never come",
    Fault.BLACK_HOLE: "requests vanish",
    Fault.RESET: "connections are reset in the middle of an answer",
    Fault.TRICKLE: "answers come a few bytes at a time",
    Fault.HALF_OPEN: "answers stop in the middle, connections stay",
    Fault.BAD_GATEWAY: "a proxy answers in the exchange's place",
}


def fault_on_orders(fault: Fault, shop: Shop) -> None:
    """Half of all orders suffer it, and a fifth of everything."""
    shop.start()
    shop.fault(Weather((fault,), probability=0.5, only=b"POST"))
    shop.trade()
    shop.fault(Weather((fault,), probability=0.2))
    shop.trade()


for _fault in Fault:
    scenario(f"network: {ABOUT[_fault]}", name=f"network_{_fault}")(partial(fault_on_orders, _fault))


@scenario("network: all faults at random, the stream cut every half second, and a kill -9")
def network_storm(shop: Shop) -> None:
    """Faults meet each other."""
    shop.start()
    shop.fault(Weather(tuple(Fault), probability=0.3, stream_seconds=0.5))
    shop.proxy.cut_all()
    shop.plan(shop.rng.uniform(0, 1.0), shop.daemon.kill)
    shop.trade()


@scenario("network: the stream of events goes silent without an end")
def stream_silent(shop: Shop) -> None:
    """Fills are learned of another way."""
    shop.fault(Weather(stream_seconds=0.2, stream_silent=True, gone_seconds=5.0))
    shop.start()
    shop.wait(0.3)
    shop.trade()


@scenario("network: the exchange cannot be reached at all while a batch goes out")
def partition(shop: Shop) -> None:
    """Everything is unknown for a while, then everything is proven."""
    shop.start()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.2))
    shop.fault(Weather((Fault.BLACK_HOLE,), probability=1.0))
    shop.proxy.cut_all()
    shop.wait(shop.rng.uniform(1.0, 3.0))
    shop.calm()
    shop.close_session()
