"""Proposed limits from a small file."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bifrost_core.errors import SettingsError
from bifrost_core.trading.limits import DEFAULT_LIMITS, Limit, LimitCode

UNITS = {limit.code: limit.unit for limit in DEFAULT_LIMITS}


def read_limits(file: Path) -> list[Limit]:
    """The limits in `file`: TOML (`MAX_GROSS = 1.5`) or CSV (`code,value`). Raises SettingsError."""
    try:
        text = file.read_text()
        values = _csv(text) if file.suffix == ".csv" else tomllib.loads(text, parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise SettingsError(f"{file} cannot be read: {error}", "Write lines as MAX_GROSS = 1.5") from error
    return [_limit(file, code, value) for code, value in values.items()]


def _csv(text: str) -> Mapping[str, Any]:
    return {row["code"]: row["value"] for row in csv.DictReader(text.splitlines())}


def _limit(file: Path, code: str, value: Any) -> Limit:
    try:
        known, number = LimitCode(code), _amount(value)
    except (ValueError, InvalidOperation, TypeError) as error:
        raise SettingsError(f"{file}: {code} = {value!r} is no limit", "See `bifrost limits show`") from error
    return Limit(known, number, UNITS[known])


def _amount(value: Any) -> Decimal:
    """The number, finite and at least zero. Raises ValueError, TypeError or InvalidOperation for anything else."""
    if isinstance(value, bool):  # Decimal(True) is 1
        raise TypeError("a boolean")
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        raise ValueError("not finite, or negative")
    return number
