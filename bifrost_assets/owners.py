"""Who answers for an asset."""

from typing import Final


class Owner:
    """Teams, in Dagster's `team:` form. Plain strings: Dagster cannot send another enum to its webserver."""

    DATA: Final = "team:data"
    RESEARCH: Final = "team:research"
    PORTFOLIO: Final = "team:portfolio"
    TRADING: Final = "team:trading"
    COMPLIANCE: Final = "team:compliance"
