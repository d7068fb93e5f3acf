"""Reading requests: JSON and query text into typed values, or a refusal that says what is wrong."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from bifrost_core.trading.terms import OrdType, Side, Terms, TimeInForce
from execution_daemon.paper_exchange.refusals import NewOrder, Refused, malformed

Name = TypeVar("Name", bound=StrEnum)


def new_order(body: bytes) -> NewOrder:
    """The order in a request body; numbers may come as strings or as JSON numbers."""
    fields = json_object(body)
    return NewOrder(
        client_order_id=str(fields.get("client_order_id") or uuid.uuid4()),
        symbol=_text(fields, "symbol").upper(),
        side=_one_of(Side, _text(fields, "side"), "side"),
        qty=number(fields, "qty"),
        terms=_terms(fields),
        trail_percent=optional(fields, "trail_percent"),
    )


def _terms(fields: dict[str, Any]) -> Terms:
    return Terms(
        order_type=_one_of(OrdType, _text(fields, "type"), "type"),
        time_in_force=_one_of(TimeInForce, _text(fields, "time_in_force"), "time_in_force"),
        limit_price=optional(fields, "limit_price"),
        stop_price=optional(fields, "stop_price"),
        trail_offset=optional(fields, "trail_price"),
        limit_offset=optional(fields, "limit_offset"),
        post_only=_flag(fields, "post_only"),
        reduce_only=_flag(fields, "reduce_only"),
    )


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, its numbers exact."""
    try:
        fields = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise Refused(400, 40010000, "request body format is invalid") from error
    if not isinstance(fields, dict):
        raise Refused(400, 40010000, "request body format is invalid")
    return fields


def moment(text: str | None, name: str) -> datetime:
    """An ISO 8601 time with its offset, as UTC."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise malformed(f"{name} must be an ISO 8601 time, not {text!r}") from error
    if at.tzinfo is None:
        raise malformed(f"{name} must have an offset, as in 2013-03-01T14:30:00Z, not {text!r}")
    return at.astimezone(UTC)


def count(text: str | None, name: str, default: int, largest: int) -> int:
    """A whole number from 1 to `largest`."""
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise malformed(f"{name} must be between 1 and {largest}")
    return int(text)


def choice(text: str | None, name: str, *allowed: str) -> str:
    """One of `allowed`; the first if nothing is given."""
    if text is None:
        return allowed[0]
    if text not in allowed:
        raise malformed(f"{name} must be one of {', '.join(allowed)}")
    return text


def number(fields: dict[str, Any], name: str) -> Decimal:
    """An exact number, given as a string or as a JSON number."""
    return _decimal(fields.get(name), name)


def optional(fields: dict[str, Any], name: str) -> Decimal | None:
    """An exact number that may be missing or null."""
    value = fields.get(name)
    return None if value is None else _decimal(value, name)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise malformed(f"{name} is required")
    return value


def _one_of(kind: type[Name], value: str, name: str) -> Name:
    try:
        return kind(value)
    except ValueError as error:
        raise malformed(f"{name} must be one of {', '.join(kind)}, not {value!r}") from error


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise malformed(f"{name} must be true or false, not {value!r}")
    return value


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise malformed(f"{name} is required")
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise malformed(f"{name} must be a number, not {value!r}") from error
