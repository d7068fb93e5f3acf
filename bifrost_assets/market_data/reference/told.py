"""What a person or a provider tells of an instrument, as vintages of corporate actions with the bytes that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from bifrost_assets.market_data.evidence import keep_payloads
from bifrost_assets.market_data.providers.base import Payload
from bifrost_core.calendar import cutoff
from bifrost_core.provenance import canonical_json

if TYPE_CHECKING:
    from psycopg import Connection

    from bifrost_core.settings import Settings

OPERATOR = "operator"  # the provider of what a person tells

ACTION_IN = """
    insert into raw.corporate_actions (instrument_id, ex_session, kind, price_factor, value, details,
        ingested_at, available_at, provider, payload_sha256)
    values (%s, %s, %s, 1, %s, %s, %s, %s, %s, %s)
"""
CANCELLED_IN = """
    insert into raw.corporate_actions (instrument_id, ex_session, kind, price_factor, value, details, is_cancelled,
        ingested_at, available_at, provider, payload_sha256)
    select instrument_id, ex_session, kind, price_factor, value, details, true, %s, %s, %s, %s
    from raw.corporate_actions_as_of()
    where instrument_id = %s and ex_session = %s and kind = %s and not is_cancelled
"""


@dataclass(frozen=True, slots=True)
class Told:
    """Who says it, when, and the bytes that say so."""

    actor: str
    provider: str
    payload: Payload
    at: datetime

    @classmethod
    def by_person(cls, actor: str, action: str, symbol: str, **said: Any) -> Told:
        """A person's word: what was said is the payload."""
        body = canonical_json({"action": action, "actor": actor, "symbol": symbol, **said})
        return cls(actor, OPERATOR, Payload(f"{action} {symbol}", "application/json", body), datetime.now(UTC))

    @classmethod
    def by_provider(cls, provider: str, payload: Payload) -> Told:
        """What a provider's answer says."""
        return cls(f"provider {provider}", provider, payload, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class ListingAction:
    """A symbol_change (details: from, to) or a delisting (value of a share at the end), in effect from `ex_session`."""

    kind: str
    ex_session: date
    value: float | None = None
    details: dict[str, str] | None = None


def append(
    connection: Connection, settings: Settings, mic: str, instrument: int, action: ListingAction, told: Told
) -> None:
    """Append `action`: known at the close of its session, or when it was told, if that is earlier."""
    keep_payloads(connection, told.provider, [told.payload])
    known = cutoff(mic, action.ex_session, timedelta(minutes=settings.availability_lag_minutes))
    details = Jsonb(action.details) if action.details else None
    what = (instrument, action.ex_session, action.kind, action.value, details)
    connection.execute(ACTION_IN, (*what, told.at, min(known, told.at), told.provider, told.payload.sha256))


def cancel(connection: Connection, instrument: int, kind: str, ex_session: date, told: Told) -> None:
    """Append a cancelled vintage of the action, known from now on."""
    keep_payloads(connection, told.provider, [told.payload])
    origin = (told.at, told.at, told.provider, told.payload.sha256)
    connection.execute(CANCELLED_IN, (*origin, instrument, ex_session, kind))
