"""What providers of current data share: the newest session they should have, and how long an answer holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from bifrost_core.calendar import latest_closed

if TYPE_CHECKING:
    from bifrost_core.settings import Settings


class LiveProvider:
    """Knows its settings and the time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def latest_session(self, now: datetime | None = None) -> date:
        """The last session that closed at least the availability lag ago."""
        lag = timedelta(minutes=self.settings.availability_lag_minutes)
        return latest_closed(self.settings.exchange, now or datetime.now(UTC), lag).session

    def edition(self) -> str:
        """Changes with the UTC day and the newest session: an answer is not taken for one of another edition."""
        return f"{datetime.now(UTC):%Y-%m-%d}-{self.latest_session()}"
