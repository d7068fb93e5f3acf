"""ib_async's decoder without its silence, and with exact numbers.

The library logs and skips a message that it cannot read, so that a list would seem complete without it: here such a
message is handed to `garbled`. Numbers are Decimals of the message's text, not floats.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from ib_async import CommissionReport, Contract
from ib_async.decoder import Decoder

READ_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
EXECUTION_TIME = 15  # where an execution's time stands in its message
SAYS_ZONE = re.compile(r"\d{8} \d\d:\d\d:\d\d \S+|\d{8}-\d\d:\d\d:\d\d")  # with a zone, or in the form that means UTC
TIMEZONE = SimpleNamespace(TimezoneTWS="UTC")  # what the library takes a time without a zone to be in


class StrictDecoder(Decoder):  # type: ignore[misc]  # the library is followed as Any
    """Calls the methods of `wrapper` with what TWS says; `wrapper.garbled` with what cannot be read."""

    def interpret(self, fields: list[str]) -> None:
        try:
            self.handlers[int(fields[0])](fields)
        except READ_ERRORS as error:
            self.wrapper.garbled(fields, error)

    def wrap(self, methodName: str, types: list[type], skip: int = 2) -> Callable[[list[str]], None]:
        def handler(fields: list[str]) -> None:
            method = getattr(self.wrapper, methodName, None)
            if method:
                method(*(_typed(kind, field) for kind, field in zip(types, fields[skip:], strict=False)))

        return handler

    def parse(self, obj: Any) -> None:
        for field in dataclasses.fields(obj):
            kind, value = type(field.default), getattr(obj, field.name)
            if kind in {int, float, bool}:
                setattr(obj, field.name, _typed(kind, value) if value else field.default)

    def priceSizeTick(self, fields: list[str]) -> None:
        self.wrapper.tick(int(fields[2]), int(fields[3]), Decimal(fields[4]))

    def commissionReport(self, fields: list[str]) -> None:
        self.wrapper.commissionReport(CommissionReport(fields[2], Decimal(fields[3]), fields[4]))

    def position(self, fields: list[str]) -> None:
        contract = Contract(conId=int(fields[3]), symbol=fields[4], secType=fields[5], localSymbol=fields[12])
        contract.currency = fields[11]
        self.wrapper.position(fields[2], contract, Decimal(fields[14]), Decimal(fields[15]))

    def execDetails(self, fields: list[str]) -> None:
        if not SAYS_ZONE.fullmatch(fields[EXECUTION_TIME]):
            raise ValueError(f"the execution's time {fields[EXECUTION_TIME]} has no zone")
        super().execDetails(fields)


def _typed(kind: type, value: Any) -> Any:
    if kind is str:
        return value
    if kind is float:
        return Decimal(value or 0)
    return kind(int(value or 0))
