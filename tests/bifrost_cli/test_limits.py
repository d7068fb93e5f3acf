"""`bifrost limits`: by hand, as an operator types it, against PostgreSQL."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bifrost_cli.commands import limits as command
from bifrost_cli.main import app
from bifrost_cli.what_if.files import read_limits
from bifrost_core.errors import SettingsError
from bifrost_core.trading.limits import LimitCode
from bifrost_core.trading.risk.published import page
from bifrost_core.warehouse.connect import Role, connect
from tests.execution_daemon.conftest import calendar, market  # noqa: F401

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _here(settings, monkeypatch):
    """The command reads the settings of the test."""
    monkeypatch.setattr(command, "load_settings", lambda: settings)


def run(*words: str, who: str = "ann", fails: bool = False) -> str:
    """What `bifrost limits ...` prints to `who`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("getpass.getuser", lambda: who)
        done = CliRunner().invoke(app, ["limits", *words])
    assert (done.exit_code != 0) is fails, done.output
    return str(done.exception) if fails else done.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("set", "MAX_FUN", "1"), "no limit MAX_FUN"),
        (("set", "MAX_GROSS", "many"), "is not a number"),
        (("set", "MAX_GROSS", "NaN"), "finite number"),
        (("set", "MAX_GROSS", "1.5", "--account", "papr"), "there is no account papr"),
        (("try", "/nowhere", "--since", "2013-01-01"), "cannot be read"),
    ],
)
def test_what_a_person_can_do_wrong(words, fault):
    """A traceback does not say what to type instead."""
    assert fault in run(*words, fails=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", "MAX_GROSS = 1.5\nMAX_ORDER_QTY = 7"), ("a.csv", "code,value\nMAX_GROSS,1.5\nMAX_ORDER_QTY,7")],
)
def test_both_kinds_of_file(tmp_path, name, text):
    """A number that passed through a float is not the one that was written."""
    (tmp_path / name).write_text(text)
    found = {row.code: row.value for row in read_limits(tmp_path / name)}
    assert found == {LimitCode.MAX_GROSS: Decimal("1.5"), LimitCode.MAX_ORDER_QTY: Decimal(7)}


@pytest.mark.parametrize(
    "text",
    ["MAX_FUN = 1", "MAX_GROSS = 'x'", "MAX_GROSS", "[MAX_GROSS]", "MAX_GROSS = nan", "MAX_GROSS = 'NaN'",
     "MAX_GROSS = inf", "MAX_GROSS = '-Infinity'", "MAX_GROSS = -1.5", "MAX_GROSS = -1", "MAX_GROSS = true",
     "MAX_GROSS = [1]"],
)  # fmt: skip
def test_a_file_that_is_none(tmp_path, text):
    """A typing error must not try something else."""
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SettingsError):
        read_limits(tmp_path / "a.toml")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", ""])
def test_a_column_of_what_is_no_limit(tmp_path, value):
    """Nothing would be denied under a limit that no number exceeds, and all of it under one below zero."""
    (tmp_path / "a.csv").write_text(f"code,value\nMAX_GROSS,{value}\n")
    with pytest.raises(SettingsError, match="is no limit"):
        read_limits(tmp_path / "a.csv")


def test_limits_of_every_known_account_can_be_set(settings, owner):
    """A second account at the same warehouse could not be bounded."""
    with owner.transaction() as connection:
        connection.execute("insert into trading.accounts (account, broker, initial_cash) values ('second', 'sim', 1)")
    for account in ("second", settings.account, "*"):
        assert "MAX_GROSS" in run("set", "max_gross", "1.2", "--account", account)


def order(number: int, symbol: str, qty: str, price: str, **changes: object) -> dict[str, object]:
    return {
        "client_order_id": f"o{number}", "batch_id": str(uuid.UUID(int=1)), "strategies": ["m"], "symbol": symbol,
        "side": "buy", "order_type": "market", "time_in_force": "opg", "order_qty": qty, "reference_price": price,
        "leg": "open", "reserved_value": str(Decimal(qty) * Decimal(price)), "outcome": "accepted",
        "reason_code": "ACCEPTED", "detail": {}, **changes,
    }  # fmt: skip


@pytest.fixture
def traded(settings, market):  # noqa: F811
    """An account that bought for two days; the second day one order was denied."""
    first, second = market("2013-02-20"), market("2013-02-21")
    with connect(settings, Role.TRADER) as connection:
        connection.autocommit = True

        def call(function: str, *arguments: object) -> object:
            places = ", ".join(["%s"] * len(arguments))
            return connection.execute(f"select trading.{function}({places})", arguments).fetchone()

        (epoch,) = call("acquire_lease_v1", "paper", "one", 60.0)  # type: ignore[misc]
        leader = ("paper", "one", epoch)
        call("open_account_v1", *leader, "sim", Decimal(1_000_000), first.open_at)

        def submit(at: object, *orders: dict[str, object]) -> None:
            call("submit_intents_v1", *leader, at, Decimal(2_000_000), json.dumps(orders))

        submit(first.open_at - timedelta(minutes=30), order(1, "MSFT", "10000", "28"), order(2, "IBM", "1000", "200"))
        fill = {
            "client_order_id": "o1", "kind": "fill", "ord_status": "filled", "exec_id": "x1", "last_qty": "10000",
            "last_px": "28", "commission": "1", "event_at": first.open_at.isoformat(), "cum_qty_before": "0",
            "cum_qty": "10000", "avg_px": "28", "reserved_value": "0", "cash_effect": "-280001", "quantity_before": "0",
            "quantity": "10000", "avg_cost": "28", "realized_pnl": "0", "blocks": [], "unblocks": [],
            "fills": [{"exec_id": "x1", "side": "buy", "last_qty": "10000", "last_px": "28", "commission": "1"}],
        }  # fmt: skip
        call("record_event_v1", *leader, "sim", "XNYS", json.dumps(fill))
        large = order(4, "AAPL", "1200", "449", outcome="denied", reason_code="MAX_ORDER_VALUE")
        submit(second.open_at - timedelta(minutes=30), order(3, "MSFT", "7000", "28"), large)


@pytest.mark.usefixtures("traded")
def test_tighter_limits_deny_what_was_bought(tmp_path):
    """A limit that looks harmless would have stopped half of what was traded: better to know before."""
    file = tmp_path / "tight.toml"
    file.write_text("MAX_POSITION = 300000\nMAX_ORDER_QTY = 9000\n")
    printed = run("try", str(file), "--since", "2013-02-01")
    assert "4 decisions replayed; 4 come out under today's limits as they did then" in printed
    assert "would be denied: 2 orders, 476,000.00 USD" in printed
    assert "MAX_ORDER_QTY" in printed
    assert "MAX_POSITION" in printed
    assert "would pass: 0 orders, 0.00 USD" in printed


@pytest.mark.usefixtures("traded")
def test_looser_limits_pass_what_was_denied(tmp_path):
    """The other direction: what the loosening would have let in."""
    file = tmp_path / "loose.csv"
    file.write_text("code,value\nMAX_ORDER_VALUE,600000\nMAX_POSITION,600000\n")
    printed = run("try", str(file), "--since", "2013-02-21")
    assert "2 decisions replayed" in printed
    assert "would be denied: 0 orders" in printed
    assert "would pass: 1 orders, 538,800.00 USD" in printed
    assert "MAX_ORDER_VALUE" in printed


def test_the_page_of_codes_is_current():
    """A code that an operator finds in a denial and not in the page, or with last year's meaning."""
    assert (DOCS / "denial-codes.md").read_text() == page() == run("codes")
