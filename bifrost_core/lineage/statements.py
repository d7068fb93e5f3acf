"""The reads behind a trace (psycopg placeholders). A target is traced with what was stored when its batch was made.

A target's symbol is that of the session it is traded in, in whose date (UTC) its validity ends.

A strategy without a signal for an instrument contributes nothing, so the signals wanted are those of the contributions.
"""

from __future__ import annotations

LOOKBACK_DAYS = 420  # calendar days that hold the sessions the longest feature looks back on

FILL = """
    select * from trading.fills where fill_id = %(fill_id)s or exec_id = %(exec_id)s order by fill_id limit 1
"""

ORDER = """
    select * from trading.orders where client_order_id = %(client_order_id)s
"""

# an order has one accepted decision, and may have denials of later attempts under its id
DECISION = """
    select * from trading.risk_decisions where client_order_id = %(client_order_id)s
    order by outcome = 'accepted' desc, decision_id limit 1
"""

PARENT = """
    select * from trading.parent_orders where parent_id = %(parent_id)s
"""

COMMAND = """
    select actor, route, idempotency_key, jsonb_strip_nulls(request)::text as body, begun_at, status
    from trading.commands where command_id = %(command_id)s
"""

TARGET = """
    select b.batch_id, %(symbol)s::text as symbol, b.as_of_session, b.created_at as stored_at,
        reference.instrument_of(%(symbol)s, b.valid_until::date) as instrument_id,
        array(select jsonb_object_keys(t.contributions)) as strategies,
        b.dagster_run_id, b.code_version, t.target_weight, t.reference_price
    from signals.target_batches b
    left join signals.targets t on t.batch_id = b.batch_id and t.symbol = %(symbol)s
    where b.batch_id = %(batch_id)s
"""

SIGNALS = """
    select wanted.strategy, %(as_of_session)s::date as session, %(symbol)s::text as symbol,
        %(instrument_id)s::integer as instrument_id, %(stored_at)s::timestamptz as stored_at, s.weight, s.model_name,
        s.model_version, s.computed_at, s.dagster_run_id, s.code_version
    from unnest(%(strategies)s::text[]) as wanted(strategy)
    left join signals.signals s
        on s.strategy = wanted.strategy and s.session = %(as_of_session)s and s.instrument_id = %(instrument_id)s
    order by wanted.strategy
"""

PREDICTION = """
    select * from ml.predictions
    where instrument_id = %(instrument_id)s and session = %(session)s
        and model_name = %(model_name)s and model_version = %(model_version)s
"""

MODEL = """
    select * from ml.model_versions where model_name = %(model_name)s and model_version = %(model_version)s
"""

FEATURES = """
    select data_version, computed_at, dagster_run_id, code_version from features.daily
    where instrument_id = %(instrument_id)s and session = %(session)s
"""

VINTAGES = """
    select b.payload_sha256, b.provider, b.ingested_at, count(*) as bars, min(b.session) as first_session,
        max(b.session) as last_session, p.sha256 is not null as is_stored
    from raw.daily_bars_as_of(stored_at => %(stored_at)s) b
    left join raw.payloads p on p.sha256 = b.payload_sha256
    where b.instrument_id = coalesce(%(instrument_id)s, reference.instrument_of(%(symbol)s, %(session)s))
        and b.session > %(session)s::date - %(days)s::integer and b.session <= %(session)s
    group by b.payload_sha256, b.provider, b.ingested_at, p.sha256
    order by last_session, b.payload_sha256
"""
