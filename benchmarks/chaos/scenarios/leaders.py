"""Two daemons for one account: the leader frozen past its lease, killed, or raced for."""

from __future__ import annotations

import signal

from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop


@scenario("SIGSTOP of the leader past its lease, a standby takes over, SIGCONT: the old one writes nothing and ends")
def leader_frozen(shop: Shop) -> None:
    """Frozen somewhere in a batch, it wakes up in a world in which another one has gone on."""
    shop.start()
    standby = shop.add_daemon()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.4))
    old, pid = shop.daemon, shop.daemon.pid
    old.send(signal.SIGSTOP)
    shop.fault()
    shop.until(standby.is_ready, "the standby to take over", 20.0)
    shop.calm()
    old.send(signal.SIGCONT)
    shop.until(lambda: old.pid != pid, "the old leader to end", 10.0)
    shop.close_session()


@scenario("SIGSTOP of the leader for less than its lease")
def leader_frozen_briefly(shop: Shop) -> None:
    """A pause alone is no reason to stop, and none to do anything twice."""
    shop.start()
    shop.add_daemon()
    shop.post()
    for _ in range(3):
        shop.wait(shop.rng.uniform(0, 0.3))
        shop.daemon.send(signal.SIGSTOP)
        shop.wait(shop.rng.uniform(0.1, 0.8))
        shop.daemon.send(signal.SIGCONT)
    shop.close_session()


@scenario("kill -9 of whoever leads, with a standby: leadership goes to and fro")
def leader_killed(shop: Shop) -> None:
    """Each take-over starts from what the one before had made durable."""
    shop.start()
    shop.add_daemon()
    for _ in range(2):
        shop.plan(shop.rng.uniform(0, 0.5), lambda: _kill_leader(shop))
        shop.trade()
        shop.until(shop.has_leader, "a leader")


def _kill_leader(shop: Shop) -> None:
    next((daemon for daemon in shop.daemons if daemon.is_ready()), shop.daemon).kill()


@scenario("three daemons started in the same instant, a batch waiting")
def leaders_race(shop: Shop) -> None:
    """One of them leads, the batch is traded once."""
    shop.post()
    shop.spawn(shop.daemon)
    shop.add_daemon()
    shop.add_daemon()
    shop.close_session()
