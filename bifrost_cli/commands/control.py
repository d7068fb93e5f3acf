"""`bifrost halt`, `cancel-all`, `flatten`, `orders`: the daemon's API from a shell; and `resume`, which needs none."""

from __future__ import annotations

import getpass
from enum import StrEnum
from typing import Any

import typer

from bifrost_core.settings import load_settings

REASON = typer.Option(..., "--reason", help="Why: it is kept in the audit chain.")
SYMBOLS = typer.Argument(None, help="These symbols alone.")


class Scope(StrEnum):
    """What a kill switch stops."""

    GLOBAL = "global"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"


SCOPE = typer.Argument(Scope.GLOBAL, help="What to stop.")
KEY = typer.Argument("*", help="The account, strategy or symbol.")


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    for function in (halt, resume, flatten, orders):
        app.command()(function)
    app.command("cancel-all")(cancel_all)


def halt(scope: Scope = SCOPE, key: str = KEY, reason: str = REASON) -> None:
    """Stop new orders, from the next one on."""
    key = _spelt(scope, key)
    answer = _command("/halt", scope=scope.value, key=key, reason=reason)
    print(f"halted: {scope.value} {key}")
    if answer.get("is_known") is False:
        print(f"WARNING: engaged, but nothing is known by the name {key}: check the spelling")


def resume(scope: Scope = SCOPE, key: str = KEY, reason: str = REASON) -> None:
    """Propose that a switch is released; prints what it takes."""
    from bifrost_cli import governance

    answer = governance.release(load_settings(), scope.value, _spelt(scope, key), reason, getpass.getuser())
    print(governance.told(answer))


def cancel_all(symbol: str = typer.Option("", help="One symbol alone."), reason: str = REASON) -> None:
    """Ask the broker to cancel every open order."""
    ids = _command("/cancel-all", symbol=symbol.upper(), reason=reason)["client_order_ids"]
    print(f"{len(ids)} orders are being canceled")


def flatten(symbols: list[str] = SYMBOLS, reason: str = REASON) -> None:
    """Cancel what is open and close what is held."""
    wanted = [symbol.upper() for symbol in symbols or ()]
    decisions = _command("/flatten", symbols=wanted, reason=reason)["decisions"]
    for one in decisions:
        order = f"{one['side']:<4} {one['qty']:>10} {one['symbol']:<6}"
        print(f"{one['outcome']:<8}  {order} {one['reason_code']} {one['detail']}")
    if not decisions:
        print("nothing is held")


def orders(
    status: str = typer.Option("", help="One status, such as new or filled."),
    symbol: str = typer.Option("", help="One symbol alone."),
    limit: int = typer.Option(20, min=1, max=500, help="The newest so many."),
) -> None:
    """Print orders, the newest first."""
    from bifrost_cli.daemonapi import get

    page = get(load_settings(), "/orders", {"status": status, "symbol": symbol.upper(), "limit": limit})
    for one in page["items"]:
        terms = f"{one['side']:<4} {one['order_qty']:>10} {one['symbol']:<6} {one['order_type']} {one['time_in_force']}"
        print(f"{one['client_order_id']}  {one['ord_status']:<16}  {terms}, {one['cum_qty']} filled")
    if not page["items"]:
        print("no order")


def _spelt(scope: Scope, key: str) -> str:
    """The key as orders have it: symbols are upper case."""
    return key.upper() if scope is Scope.SYMBOL else key


def _command(path: str, **body: Any) -> dict[str, Any]:
    from bifrost_cli.daemonapi import command

    return command(load_settings(), path, body)
