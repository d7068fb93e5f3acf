"""Alpaca's non-trade activities: splits, dividends, fees, interest and transfers, in the port's words.

Alpaca books a split as the old shares going out and the new ones coming in, or as their difference: either way the
quantities add up to the change. Of a dividend the quantity is what it was paid on, and no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from bifrost_core.trading.orders import ZERO
from execution_daemon.brokers.alpaca_wire import NEW_YORK, decimal_of, text_of, time_of
from execution_daemon.brokers.port import Adjustment, AdjustmentKind

KINDS = {
    "SPLIT": AdjustmentKind.SPLIT,
    "SSP": AdjustmentKind.SPLIT,
    "FEE": AdjustmentKind.FEE,
    "CFEE": AdjustmentKind.FEE,
    "PTC": AdjustmentKind.FEE,
    "CSD": AdjustmentKind.TRANSFER,
    "CSW": AdjustmentKind.TRANSFER,
    "TRANS": AdjustmentKind.TRANSFER,
    "ACATC": AdjustmentKind.TRANSFER,
    "ACATS": AdjustmentKind.TRANSFER,
    "JNL": AdjustmentKind.TRANSFER,
    "JNLC": AdjustmentKind.TRANSFER,
    "JNLS": AdjustmentKind.TRANSFER,
}
PREFIXES = {"DIV": AdjustmentKind.DIVIDEND, "CGD": AdjustmentKind.DIVIDEND, "INT": AdjustmentKind.INTEREST}
CASH_KINDS = {AdjustmentKind.DIVIDEND, AdjustmentKind.FEE, AdjustmentKind.INTEREST}
CASH_TYPES = {"CSD", "CSW", "TRANS", "ACATC", "JNL", "JNLC"}


def adjustment(fields: Mapping[str, Any]) -> Adjustment:
    """A non-trade activity."""
    name = text_of(fields["activity_type"])
    kind = kind_of(name)
    is_cash = kind in CASH_KINDS or name in CASH_TYPES
    return Adjustment(
        adjustment_id=text_of(fields["id"]),
        kind=kind,
        at=moment(fields),
        symbol=str(fields.get("symbol") or ""),
        qty_change=ZERO if is_cash else _amount(fields.get("qty")),
        cash_change=_amount(fields.get("net_amount")),
        text=str(fields.get("description") or name),
    )


def kind_of(activity_type: str) -> AdjustmentKind:
    """What an activity type is; OTHER for one nobody has named yet."""
    by_prefix = (kind for prefix, kind in PREFIXES.items() if activity_type.startswith(prefix))
    return KINDS.get(activity_type) or next(by_prefix, AdjustmentKind.OTHER)


def moment(fields: Mapping[str, Any]) -> datetime:
    """When it was booked; of an activity that has only a date, the beginning of that day in New York."""
    exact = fields.get("transaction_time") or fields.get("created_at")
    if exact:
        return time_of(exact)
    return datetime.combine(date.fromisoformat(text_of(fields["date"])[:10]), time(), NEW_YORK).astimezone(UTC)


def is_since(fields: Mapping[str, Any], at: datetime, since: datetime | None) -> bool:
    """Whether it was booked at or after `since`; one that has only a date counts for its whole day."""
    if since is None or fields.get("transaction_time") or fields.get("created_at"):
        return since is None or at >= since
    return at.astimezone(NEW_YORK).date() >= since.astimezone(NEW_YORK).date()


def _amount(value: Any) -> Decimal:
    return ZERO if value is None else decimal_of(value)
