"""The suites on corporate actions and reference data: what is read of each table, and what it has to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from bifrost_assets.market_data.quality.runner import validated

if TYPE_CHECKING:
    from bifrost_assets.market_data.evidence import CheckResult
    from bifrost_core.thresholds import Thresholds
    from bifrost_core.warehouse.warehouse import Warehouse

SYMBOL = r"^[A-Z0-9][A-Z0-9.^=-]{0,20}$"


@dataclass(frozen=True, slots=True)
class Suite:
    """Rows that `sql` reads, and the expectations on them. Where `by_window`, `$1` and `$2` are its sessions."""

    name: str
    sql: str
    expectations: Callable[[Thresholds], list[Any]]
    by_window: bool = False


def run(warehouse: Warehouse, suite: Suite, first: date, last: date) -> list[CheckResult]:
    """What `suite` finds in the table as it is now."""
    rows = warehouse.read(suite.sql, *((first, last) if suite.by_window else ()))
    return validated(rows, suite.name, suite.expectations(warehouse.settings.quality))


def _actions(limits: Thresholds) -> list[Any]:
    import great_expectations.expectations as e

    return [
        e.ExpectCompoundColumnsToBeUnique(column_list=["instrument_id", "ex_session", "kind"]),
        *(e.ExpectColumnValuesToNotBeNull(column=name) for name in ("symbol", "price_factor", "payload_sha256")),
        e.ExpectColumnValuesToBeBetween(column="price_factor", min_value=0, strict_min=True),
        e.ExpectColumnValuesToBeBetween(
            column="shares_for_one", min_value=1 / limits.largest_split, max_value=limits.largest_split
        ),
        e.ExpectColumnValuesToBeBetween(
            column="dividend_share", min_value=0, strict_min=True, max_value=limits.largest_dividend
        ),
        e.ExpectColumnValuesToBeBetween(column="is_off_session", max_value=0),
        e.ExpectColumnValuesToBeBetween(column="is_without_bar", max_value=0),
        e.ExpectColumnPairValuesAToBeGreaterThanB(column_A="ingested_at", column_B="ex_at", or_equal=True),
    ]


def _instruments(_limits: Thresholds) -> list[Any]:
    import great_expectations.expectations as e

    return [
        e.ExpectTableRowCountToBeBetween(min_value=1),
        e.ExpectColumnValuesToBeUnique(column="instrument_id"),
        *(e.ExpectColumnValuesToNotBeNull(column=name) for name in ("symbol", "name", "exchange_mic", "currency")),
        e.ExpectColumnValuesToMatchRegex(column="symbol", regex=SYMBOL),
        e.ExpectColumnValuesToMatchRegex(column="currency", regex="^[A-Z]{3}$"),
        e.ExpectColumnValuesToBeInSet(column="asset_class", value_set=["equity", "etf", "index"]),
        e.ExpectColumnValuesToBeBetween(column="listed_instruments_of_symbol", max_value=1),
        e.ExpectColumnValuesToBeBetween(column="symbols_today", min_value=1, max_value=1),
        e.ExpectColumnValuesToBeBetween(column="bars_outside_listing", max_value=0),
    ]


def _sessions(limits: Thresholds) -> list[Any]:
    import great_expectations.expectations as e

    return [
        e.ExpectTableRowCountToBeBetween(min_value=1),
        e.ExpectCompoundColumnsToBeUnique(column_list=["exchange_mic", "session"]),
        e.ExpectColumnValuesToBeBetween(
            column="hours", min_value=limits.shortest_session_hours, max_value=limits.longest_session_hours
        ),
        e.ExpectColumnValuesToBeBetween(column="days_since", min_value=1, max_value=limits.longest_closure_days),
        e.ExpectColumnValuesToBeBetween(column="hours_overlapping", max_value=0),
        e.ExpectColumnValuesToBeBetween(column="close_days_after", min_value=0, max_value=1),
    ]


def _members(_limits: Thresholds) -> list[Any]:
    import great_expectations.expectations as e

    return [
        e.ExpectTableRowCountToBeBetween(min_value=1),
        e.ExpectCompoundColumnsToBeUnique(column_list=["universe", "instrument_id", "valid_from"]),
        e.ExpectColumnValuesToNotBeNull(column="symbol"),
        e.ExpectColumnValuesToBeBetween(column="is_empty_span", max_value=0),
        e.ExpectColumnValuesToBeBetween(column="overlaps", max_value=0),
        e.ExpectColumnValuesToBeBetween(column="is_without_bars", max_value=0),
        e.ExpectColumnValuesToBeBetween(column="is_the_index", max_value=0),
    ]


ACTIONS = Suite(
    "corporate_actions",
    """
    select reference.symbol_of(a.instrument_id, a.ex_session) as symbol, a.instrument_id, a.ex_session, a.kind,
        a.price_factor, a.payload_sha256, a.ingested_at, a.ex_session::timestamptz as ex_at,
        case when a.kind = 'split' then 1 / a.price_factor end as shares_for_one,
        case when a.kind = 'cash_dividend' then 1 - a.price_factor end as dividend_share,
        (s.session is null)::integer as is_off_session,
        (a.kind in ('split', 'cash_dividend') and b.session is null)::integer as is_without_bar
    from raw.corporate_actions_as_of() a
    join reference.instruments i using (instrument_id)
    left join reference.sessions s on s.exchange_mic = i.exchange_mic and s.session = a.ex_session
    left join raw.daily_bars_as_of() b on b.instrument_id = a.instrument_id and b.session = a.ex_session
    where a.ex_session between $1 and $2 and not a.is_cancelled
    """,
    _actions,
    by_window=True,
)
INSTRUMENTS = Suite(
    "instruments",
    """
    select i.instrument_id, i.symbol, i.name, i.asset_class, i.exchange_mic, i.currency,
        (case when i.listed_to is null then count(*) filter (where i.listed_to is null) over (partition by i.symbol)
            end)::integer as listed_instruments_of_symbol,
        case when i.listed_to is null then (
            select count(*) from reference.symbols s
            where s.instrument_id = i.instrument_id and s.valid_to is null
        )::integer end as symbols_today,
        (exists (
            select from raw.daily_bars b where b.instrument_id = i.instrument_id and b.session > i.listed_to
        ))::integer as bars_outside_listing
    from reference.instruments i
    """,
    _instruments,
)
CALENDAR = Suite(
    "sessions",
    """
    select exchange_mic, session, extract(epoch from close_at - open_at)::float8 / 3600 as hours,
        session - lag(session) over before as days_since,
        greatest(0, extract(epoch from lag(close_at) over before - open_at)::float8 / 3600) as hours_overlapping,
        (close_at at time zone 'UTC')::date - session as close_days_after
    from reference.sessions
    window before as (partition by exchange_mic order by session)
    """,
    _sessions,
)
MEMBERS = Suite(
    "universe_members",
    """
    select m.universe, m.instrument_id, m.valid_from, i.symbol,
        (coalesce(m.valid_to <= m.valid_from, false))::integer as is_empty_span,
        coalesce((lag(coalesce(m.valid_to, 'infinity')) over before > m.valid_from)::integer, 0) as overlaps,
        (not exists (
            select from raw.daily_bars b
            where b.instrument_id = m.instrument_id and b.session >= m.valid_from
                and (m.valid_to is null or b.session < m.valid_to)
        ))::integer as is_without_bars,
        (i.asset_class = 'index')::integer as is_the_index
    from reference.universe_members m
    left join reference.instruments i using (instrument_id)
    window before as (partition by m.universe, m.instrument_id order by m.valid_from)
    """,
    _members,
)
