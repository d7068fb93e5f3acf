"""The page of reason codes: `bifrost limits codes > docs/denial-codes.md`. A test holds the page to the code."""

from __future__ import annotations

from bifrost_core.trading.limits import DEFAULT_LIMITS
from bifrost_core.trading.risk.codes import PUBLISHED, RiskCode

UNITS = {limit.code: limit for limit in DEFAULT_LIMITS}
INTRO = """# Why an order was denied

Every decision on an order is stored in `trading.risk_decisions` with one of these codes: the first control that said
no, in this order. The page is made from the code by `bifrost limits codes > docs/denial-codes.md`.

Limits are rows of `trading.limits`; `bifrost limits show` prints those in force and [risk.md](risk.md) says how they
change. *Later*: whether the same order may pass once time, prices or the book have moved.

| code | meaning | remedy | limit (default) | later |
|---|---|---|---|---|
"""


def page() -> str:
    """docs/denial-codes.md."""
    return INTRO + "".join(_row(code) for code in RiskCode if code is not RiskCode.ACCEPTED)


def _row(code: RiskCode) -> str:
    words, limit = PUBLISHED[code], code.limit
    shown = "none" if limit is None else f"{UNITS[limit].value.normalize():f} {UNITS[limit].unit}"
    later = "yes" if words.may_pass_later else "no"
    return f"| `{code}` | {words.meaning} | {words.remedy}. | {shown} | {later} |\n"
