"""What is late and why: judged over Dagster's real records, kept in the warehouse, sent to a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from bifrost_assets import alerts
from bifrost_assets.definitions import defs
from bifrost_assets.freshness import freshness, policy_of, with_policies
from bifrost_assets.lateness import Due, Verdict, judge
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.partitions import SESSIONS
from bifrost_core.settings import load_settings
from bifrost_core.warehouse.warehouse import Warehouse

KEY = dg.AssetKey(["raw", "made"])
DAY = "2013-02-15"  # the Friday before Presidents' Day
DUE_AT = datetime(2013, 2, 15, 22, 15, tzinfo=UTC)


def due(published: str = DAY) -> Due:
    return Due(date.fromisoformat(DAY), DUE_AT, date.fromisoformat(published))


def verdict(instance: dg.DagsterInstance, published: str = DAY) -> Verdict:
    [one] = judge(instance, [KEY], due(published))
    return one


def run(instance: dg.DagsterInstance, *, breaks: str = "", check_passes: bool = True, **tags: str) -> str:
    """A real run of one partitioned asset with a blocking check and an asset behind it."""

    @dg.asset(key=["raw", "source"], partitions_def=SESSIONS)
    def source() -> None:
        if breaks:
            raise ValueError(breaks)

    @dg.asset_check(asset=source, blocking=True)
    def is_sound() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=check_passes)

    @dg.asset(key=KEY, deps=[source], partitions_def=SESSIONS)
    def made() -> None: ...

    made_of = dg.Definitions(assets=[source, made], asset_checks=[is_sound])
    job = made_of.resolve_implicit_global_asset_job_def()
    partition = None if tags else DAY
    return job.execute_in_process(instance=instance, partition_key=partition, raise_on_error=False, tags=tags).run_id


def test_an_asset_with_the_due_session_is_on_time() -> None:
    """An alert about nothing teaches people to look away."""
    instance = dg.DagsterInstance.ephemeral()
    run(instance)
    one = verdict(instance)
    assert (one.cause, one.is_late, one.has_session) == ("on_time", False, date(2013, 2, 15))


def test_no_run_of_the_session_is_the_reason_when_there_was_none() -> None:
    """The schedule was off, or the machine asleep: the first thing to look at."""
    instance = dg.DagsterInstance.ephemeral()
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="2013-02-14"))
    one = verdict(instance)
    assert (one.cause, one.has_session, one.run_id) == ("run_not_started", date(2013, 2, 14), None)


def test_a_failed_step_is_named_with_its_run_and_its_words() -> None:
    """'The run failed' sends a person through a log of a thousand lines."""
    instance = dg.DagsterInstance.ephemeral()
    failed = run(instance, breaks="vendor sent HTML")
    one = verdict(instance)
    assert (one.cause, one.run_id) == ("run_failed", failed)
    assert one.why == "step raw__source failed: ValueError: vendor sent HTML"


def test_a_blocking_check_is_named() -> None:
    """Nothing failed but a check: the asset behind it was held back on purpose."""
    instance = dg.DagsterInstance.ephemeral()
    blocked = run(instance, check_passes=False)
    one = verdict(instance)
    assert (one.cause, one.why, one.run_id) == ("check_blocked", "check is_sound of raw/source failed", blocked)


def test_a_range_that_holds_the_session_counts_as_its_run() -> None:
    """A catch-up over three days that failed would be shown as never started."""
    instance = dg.DagsterInstance.ephemeral()
    span = {"dagster/asset_partition_range_start": "2013-02-13", "dagster/asset_partition_range_end": "2013-02-19"}
    instance.add_run(dg.DagsterRun(job_name="nightly", status=dg.DagsterRunStatus.STARTED, tags=span))
    assert verdict(instance).cause == "run_under_way"


def test_a_provider_without_the_session_is_the_reason() -> None:
    """A run would find nothing: starting one by hand is what a person must not do then."""
    one = verdict(dg.DagsterInstance.ephemeral(), published="2013-02-14")
    assert (one.cause, one.why) == ("provider_has_not_published", "the provider's newest session is 2013-02-14")


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2026-02-13T22:14", "2026-02-12"),  # within the hour of grace
        ("2026-02-13T22:15", "2026-02-13"),
        ("2026-02-16T23:00", "2026-02-13"),  # Presidents' Day
        ("2025-11-28T19:15", "2025-11-28"),  # a half day closes at 18:00 UTC
    ],
)
def test_what_is_due_follows_the_exchanges_calendar(now: str, session: str) -> None:
    """A fixed number of days is wrong on every holiday, and late on every other day."""
    settings = load_settings(provider="yahoo")
    found = Due.at_time(settings, provider_of(settings), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found.session == date.fromisoformat(session)


def test_the_demos_data_is_due_until_where_it_ends() -> None:
    """Every page of the demo would be red, thirteen years late."""
    settings = load_settings()
    assert Due.at_time(settings, provider_of(settings), datetime.now(UTC)).session == date(2013, 3, 1)


def test_the_policy_outlasts_the_longest_rest_of_the_exchange_and_no_more() -> None:
    """Shorter, it fails over every long weekend; longer, it tells days after everybody knows."""
    policy = policy_of(load_settings(provider="yahoo"), datetime(2026, 3, 1, tzinfo=UTC))
    # from the early close of Thursday, 3 July 2025, to Monday's close, and an hour of grace
    assert policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(days=4, hours=4))
    assert policy_of(load_settings(), datetime.now(UTC)) is None


def test_every_asset_of_the_nightly_run_has_the_policy() -> None:
    """A new asset without one is stale in silence."""
    watched = {
        spec.key.to_user_string(): spec
        for spec in with_policies(defs, load_settings(provider="yahoo")).resolve_all_asset_specs()
        if spec.partitions_def == SESSIONS or spec.key.path[0] == "marts"
    }
    assert {"raw/daily_bars", "signals/targets", "marts/fct_daily_bars"} <= set(watched)
    assert [key for key, spec in watched.items() if spec.freshness_policy is None] == []


@dataclass
class Inbox:
    """An HTTP server that takes alerts, once it has refused the first `refusals` of them."""

    refusals: int = 0
    asked: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def listening(inbox: Inbox) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            inbox.asked += 1
            refused = inbox.asked <= inbox.refusals
            if not refused:
                inbox.taken.append(body)
            self.send_response(503 if refused else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook?token=secret"
        server.shutdown()


def alerting(warehouse: Warehouse, address: str) -> Warehouse:
    return Warehouse(warehouse.settings.model_copy(update={"alert_url": SecretStr(address)}), warehouse.role)


LATE = Verdict("raw/made", date(2013, 2, 15), date(2013, 2, 14), DUE_AT, "run_failed", "step x failed: y", "r1")
NOW = datetime(2013, 2, 15, 23, tzinfo=UTC)


def test_an_alert_is_sent_once_with_its_reason(warehouse: Warehouse) -> None:
    """Told every five minutes about one failure, a person stops reading."""
    inbox = Inbox()
    with listening(inbox) as address:
        there = alerting(warehouse, address)
        assert alerts.keep(there, [LATE], NOW) == [LATE]
        assert alerts.deliver(there, NOW) is None
        assert alerts.keep(there, [LATE], NOW + timedelta(minutes=5)) == []
        assert alerts.deliver(there, NOW + timedelta(minutes=5)) is None
    [document] = inbox.taken
    [alert] = document["alerts"]
    assert (alert["asset"], alert["due_session"], alert["cause"]) == ("raw/made", "2013-02-15", "run_failed")
    assert alert["why"] == "step x failed: y"


def test_a_refused_alert_is_tried_again_later_and_later(warehouse: Warehouse) -> None:
    """An alert lost while the other side was restarted is an outage that nobody heard of."""
    inbox = Inbox(refusals=2)
    with listening(inbox) as address:
        there = alerting(warehouse, address)
        alerts.keep(there, [LATE], NOW)
        said = [alerts.deliver(there, NOW + timedelta(seconds=at)) for at in (0, 30, 60, 90, 180)]
    assert said == [
        "the alert address answered 503",
        None,  # it waits a minute
        "the alert address answered 503",
        None,  # then two
        None,
    ]
    assert (inbox.asked, len(inbox.taken)) == (3, 1)
    row = warehouse.read("select attempts, delivered_at is not null as done from quarantine.freshness_alerts").row(0)
    assert row == (3, True)


def test_a_dead_address_holds_up_nothing_and_its_token_is_told_to_nobody(warehouse: Warehouse, free_port: Any) -> None:
    """A sensor that raises over it would stop judging."""
    there = alerting(warehouse, f"http://127.0.0.1:{free_port()}/?token=secret")
    alerts.keep(there, [LATE], NOW)
    assert alerts.deliver(there, NOW) == "the alert address does not answer: ConnectError"
    assert "secret" not in str(warehouse.read("select last_error from quarantine.freshness_alerts").item())


def test_without_an_address_alerts_are_kept_and_not_sent(warehouse: Warehouse, reader: Warehouse) -> None:
    """The app shows them all the same."""
    alerts.keep(warehouse, [LATE], NOW)
    assert alerts.deliver(warehouse, NOW) is None
    assert reader.read("select asset, is_late, cause from quarantine.asset_freshness").rows() == [
        ("raw/made", True, "run_failed")
    ]


def tick(warehouse: Warehouse, instance: dg.DagsterInstance) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance,
        repository_def=defs.get_repository_def(),
        resources={"warehouse": warehouse, "provider": provider_of(warehouse.settings)},
    )
    return freshness(context)  # type: ignore[return-value]


def test_the_sensor_tells_dagster_once_and_forgets_when_it_is_mended(warehouse: Warehouse) -> None:
    """The whole way: Dagster's records, the verdicts, the observation beside the asset, and back to quiet."""
    instance = dg.DagsterInstance.ephemeral()
    first = tick(warehouse, instance)
    bars = next(event for event in first.asset_events if event.asset_key == dg.AssetKey(["raw", "daily_bars"]))
    assert bars.metadata["late_because"].value == "no run of session 2013-03-01 has started"
    assert not tick(warehouse, instance).asset_events
    assert "minute" not in str(first.skip_reason)  # the sample data has none: they would be late for ever
    judged = warehouse.read("select asset from quarantine.asset_freshness where is_late")["asset"].to_list()
    for asset in judged:
        key = dg.AssetKey.from_user_string(asset)
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="2013-03-01"))
    assert "every asset has the session that is due" in str(tick(warehouse, instance).skip_reason)
    assert warehouse.read("select count(*) from quarantine.asset_freshness where is_late").item() == 0
