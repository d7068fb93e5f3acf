"""Prices quoted in hundredths: London quotes in pence, Johannesburg in cents, Tel Aviv in agorot."""

from __future__ import annotations

MINOR_UNITS = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ZAC": "ZAR", "ILA": "ILS"}


def major_unit(currency: str) -> tuple[str, float]:
    """The ISO 4217 code behind a vendor's currency, and what its prices are divided by to be in that."""
    if major := MINOR_UNITS.get(currency):
        return major, 100.0
    return currency, 1.0
