"""What a database can do to its daemon: die, drop connections, run out of disk, be slow, be locked."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from benchmarks.chaos.ballast import disk_full, has_own_disk
from benchmarks.chaos.scenarios.scenario import scenario
from benchmarks.chaos.shop import Shop
from bifrost_core.errors import WarehouseError


@scenario("kill -9 of PostgreSQL at random times, started again by its supervisor")
def postgres_killed(shop: Shop) -> None:
    """Commits that were acknowledged are there, the others are not, and the daemon knows which."""
    shop.start()
    for _ in range(2):
        shop.plan(shop.rng.uniform(0, 0.4), lambda: _postgres_away(shop))
        shop.trade()
        shop.calm()


def _postgres_away(shop: Shop) -> None:
    shop.fault()
    shop.kills += 1
    shop.server.kill()
    shop.plan(shop.rng.uniform(0.1, 1.0), lambda: _postgres_back(shop))


def _postgres_back(shop: Shop) -> None:
    shop.server.start()
    shop.calm()


@scenario("pg_terminate_backend on the daemon's connections, again and again")
def backends_terminated(shop: Shop) -> None:
    """A connection that ends inside a commit leaves open whether it happened."""
    shop.start()
    for _ in range(2):
        for _ in range(2):
            shop.plan(shop.rng.uniform(0, 0.5), lambda: _terminate(shop))
        shop.trade()


def _terminate(shop: Shop) -> None:
    with suppress(psycopg.Error, WarehouseError), shop.server.superuser(shop.settings.database) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename = 'bifrost_trader'"
        )


@scenario("every commit takes a tenth of a second longer (commit_delay), with a kill -9 in it")
def slow_commits(shop: Shop) -> None:
    """Slowness stretches the windows between commit and send in which a death is ambiguous."""
    with shop.server.superuser(shop.settings.database) as connection:
        name = shop.settings.database
        connection.execute(f'alter database "{name}" set commit_delay = 100000')
        connection.execute(f'alter database "{name}" set commit_siblings = 0')
    shop.fault()
    shop.start()
    shop.plan(shop.rng.uniform(0.2, 2.0), shop.daemon.kill)
    shop.trade()
    with shop.server.superuser(shop.settings.database) as connection:
        connection.execute(f'alter database "{shop.settings.database}" reset all')
    shop.daemon.kill()
    shop.calm()


@scenario("the audit chain's head is locked by somebody else, for longer than a lease")
def chain_locked(shop: Shop) -> None:
    """Nothing can be made durable: nothing may be sent, and leadership may not be kept by those who cannot write."""
    shop.start()
    shop.add_daemon()
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.3))
    shop.fault()
    with shop.server.superuser(shop.settings.database) as connection, connection.transaction():
        connection.execute("select 1 from audit.chain_head for update")
        shop.wait(shop.settings.lease_seconds * shop.rng.uniform(1.2, 2.0))
    shop.calm()
    shop.close_session()


@scenario("the disk under PostgreSQL is full in the middle of a batch, and freed later", has_own_server=True)
def full_disk(shop: Shop) -> None:
    """The daemon stops with a sentence that says so, sends nothing that it could not make durable, and recovers."""
    shop.start()
    if not has_own_disk(shop.server):
        shop.notes.append("the disk was not filled: it takes root to mount one for that")
        return
    shop.post()
    shop.wait(shop.rng.uniform(0, 0.2))
    shop.fault()
    with disk_full(shop.server):
        shop.move_clock(shop.session.open_at)
        shop.move_clock(shop.session.close_at)
        shop.until(lambda: bool(shop.daemon.ends), "the daemon to stop over the full disk", 30.0)
        shop.wait(1.0)
    if "No space left" not in shop.daemon.log.read_text(errors="replace"):
        shop.notes.append("the daemon stopped without naming the disk")
    shop.server.start()
    shop.calm()
    shop.next_session()
