"""Types that requests and answers share: exact numbers as text, names without surprises, pages."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

NUMBER = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
SIGNED = r"^-?[0-9]+(\.[0-9]+)?$"
NAME = r"^[A-Za-z0-9*][A-Za-z0-9 ._:/-]{0,99}$"
SYMBOL = r"^[A-Z0-9][A-Z0-9./-]{0,19}$"
ORDER_ID = r"^[A-Za-z0-9._:-]{1,64}$"
PRINTABLE = r"^[^\x00-\x1f\x7f]{1,500}$"
KEY = r"^[\x21-\x7e]{1,255}$"


def _text(value: Any) -> Any:
    """A number that was written as text: a JSON number may have lost digits before we see it."""
    if not isinstance(value, str):
        raise ValueError('write the number as text, as in "12.50"')
    return value


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


def plain(value: Decimal) -> str:
    """A number without exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


Amount = Annotated[
    Decimal,
    BeforeValidator(_text),
    Field(max_digits=18, decimal_places=6),
    AfterValidator(_positive),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": NUMBER, "description": "Above zero, exact: a number as text."}),
]
Number = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SIGNED, "description": "Exact: a number as text."}),
]
Symbol = Annotated[str, StringConstraints(pattern=SYMBOL)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Reason = Annotated[str, StringConstraints(pattern=PRINTABLE, max_length=500)]
