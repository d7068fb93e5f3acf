"""`bifrost demo`: the main job on real data, then ten sessions traded, from nothing to a reconciled book."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

from bifrost_cli.children import Child, bifrost_part
from bifrost_cli.nightly import JobReport, NightlyRunner
from bifrost_cli.replay import Replay, SessionTraded
from bifrost_core.calendar import Session, sessions_between
from bifrost_core.environment import part_environment
from bifrost_core.errors import SettingsError
from bifrost_core.settings import Settings
from bifrost_core.warehouse import embedded, migrate
from bifrost_core.warehouse.connect import Role, connect


class Progress:
    """Prints what is going on and keeps how long each part took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, text: str = "") -> Iterator[None]:
        if text:
            say(text)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)


@contextmanager
def running_server(settings: Settings) -> Iterator[None]:
    """The embedded server for the length of the block, if it is ours to start; what this started, this stops."""
    ours = settings.database_url is None and not embedded.status(settings.home).running
    if ours:
        embedded.start(settings.home, settings.secrets)
    try:
        yield
    finally:
        if ours:
            embedded.stop(settings.home)


def demo_sessions(settings: Settings, last: date, traded: int) -> tuple[Session, ...]:
    """The last `traded` + 1 sessions up to `last`: targets of each are traded in the next."""
    first = date.fromisoformat(settings.first_partition)
    sessions = sessions_between(settings.exchange, first, last)[-(traded + 1) :]
    if len(sessions) <= traded:
        raise SettingsError(
            f"{traded} sessions were asked for, {max(len(sessions) - 1, 0)} between {first} and {last} can be traded",
            "Set BIFROST_FIRST_PARTITION to an earlier session, or ask for fewer",
        )
    return sessions


def run(settings: Settings, traded: int) -> JobReport:
    """Run the demo and print its table. Run again, it goes on from where it was and duplicates nothing."""
    began = time.monotonic()
    progress = Progress()
    environment = part_environment(settings)
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    with ExitStack() as stack:
        with progress.step("postgresql", "Starting PostgreSQL and migrating the warehouse ..."):
            stack.enter_context(running_server(settings))
            migrate.upgrade(settings)
        children = _start_parts(stack, settings)
        with progress.step("imports", "Loading the pipeline ..."):
            runner = NightlyRunner()
        connection = stack.enter_context(connect(settings, Role.READER))
        replay = Replay(settings, connection, children)
        replayed = _replay(settings, runner, replay, progress, traded)
        _print_table(settings, connection, runner.report, replayed, time.monotonic() - began)
        _write_timings(settings, progress, runner.report, time.monotonic() - began)
    return runner.report


def _start_parts(stack: ExitStack, settings: Settings) -> tuple[Child, ...]:
    logs = settings.home / "logs"
    environment = {**os.environ, **part_environment(settings)}
    return tuple(stack.enter_context(bifrost_part(name, logs, environment)) for name in ("paper-exchange", "daemon"))


def _replay(
    settings: Settings, runner: NightlyRunner, replay: Replay, progress: Progress, traded: int
) -> list[SessionTraded]:
    from bifrost_assets.market_data.providers import provider_of

    last = provider_of(settings).latest_session()
    first, *rest = demo_sessions(settings, last, traded)
    with progress.step("history", f"Nightly job over {settings.first_session} .. {first.session}, in one run ..."):
        runner.run_range(date.fromisoformat(settings.first_partition), first.session)
    with progress.step("parts"):
        replay.wait_for_exchange()
        replay.open_at(first.close_at)
        replay.wait_for_daemon()
    done = []
    for session in rest:
        with progress.step("trading"):
            done.append(replay.trade(session))
        with progress.step("nightly"):
            ran = runner.run_session(session.session)
        say(_session_line(done[-1], ran))
    return done


def _session_line(traded: SessionTraded, ran: bool) -> str:
    denied = f", {traded.denied} denied" if traded.denied else ""
    again = "" if ran else " (done before)"
    return f"  {traded.session.session}  {traded.orders} orders, {traded.fills} fills{denied}, reconciled{again}"


def _print_table(
    settings: Settings, connection: Any, report: JobReport, replayed: list[SessionTraded], seconds: float
) -> None:
    orders, fills = (
        connection.execute(sql, (settings.account,)).fetchone()[0]
        for sql in (
            "select count(*) from trading.orders where account = %s",
            "select count(*) from trading.fills where account = %s",
        )
    )
    row = connection.execute(
        "select equity, initial_cash from marts.fct_pnl_daily join trading.accounts using (account)"
        " where account = %s order by session desc limit 1",
        (settings.account,),
    ).fetchone()
    equity, initial = row or (Decimal(0), Decimal(0))
    pnl = Decimal(equity) - Decimal(initial)
    rows = [
        ("sessions traded", f"{len(replayed)}  ({replayed[0].session.session} .. {replayed[-1].session.session})"),
        ("orders / fills", f"{orders} / {fills}"),
        ("profit and loss", f"{pnl:+,.2f} USD on {Decimal(initial):,.2f}"),
        (
            "checks",
            f"{report.checks_passed} passed, {len(report.failed_checks)} failed, {len(report.warnings)} with a warning"
            if report.runs
            else "none run: all was done before",
        ),
        ("reports", str(settings.artifacts)),
        ("took", f"{seconds:.0f} s"),
        ("next", f"{_command()} up   (then http://127.0.0.1:{settings.streamlit_port})"),
    ]
    say("")
    for name, value in rows:
        say(f"  {name:<16} {value}")
    for name in report.failed_checks:
        say(f"  failed check     {name}")
    for name in report.warnings:
        say(f"  warning          {name}")
    if any(name.startswith("raw/") for name in report.warnings):
        say(f"  see              {_command()} quarantine list")


def _command() -> str:
    return ".venv/bin/bifrost" if ".venv" in sys.argv[0] or ".venv" in sys.executable else "bifrost"


def _write_timings(settings: Settings, progress: Progress, report: JobReport, seconds: float) -> None:
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    timings = {
        "total_seconds": seconds,
        "by_part": progress.seconds,
        "job": {"runs": report.runs, "wall_seconds": report.wall_seconds, "work_seconds": report.work_seconds},
        "by_step": dict(sorted(report.seconds_by_step.items(), key=lambda item: -item[1])),
    }
    (settings.artifacts / "demo_timings.json").write_text(json.dumps(timings, indent=1) + "\n")
