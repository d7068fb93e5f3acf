"""Who answers for an asset."""

from enum import StrEnum


class Owner(StrEnum):
    """Teams, in Dagster's `team:` form."""

    DATA = "team:data"
    RESEARCH = "team:research"
    PORTFOLIO = "team:portfolio"
    TRADING = "team:trading"
    COMPLIANCE = "team:compliance"
