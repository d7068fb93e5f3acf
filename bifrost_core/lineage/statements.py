"""The reads behind a trace (psycopg placeholders). A target is traced with what was stored when its batch was made.

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

TARGET = """
    select b.batch_id, %(symbol)s::text as symbol, b.as_of_session, b.created_at as stored_at,
        array(select jsonb_object_keys(t.contributions)) as strategies,
        b.dagster_run_id, b.code_version, t.target_weight, t.reference_price
    from signals.target_batches b
    left join signals.targets t on t.batch_id = b.batch_id and t.symbol = %(symbol)s
    where b.batch_id = %(batch_id)s
"""

SIGNALS = """
    select wanted.strategy, %(as_of_session)s::date as session, %(symbol)s::text as symbol, i.instrument_id,
        %(stored_at)s::timestamptz as stored_at, s.weight, s.model_name, s.model_version,
        s.dagster_run_id, s.code_version
    from unnest(%(strategies)s::text[]) as wanted(strategy)
    left join reference.instruments i on i.symbol = %(symbol)s
    left join signals.signals s
        on s.strategy = wanted.strategy and s.session = %(as_of_session)s and s.instrument_id = i.instrument_id
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
    select data_version, dagster_run_id, code_version from features.daily
    where instrument_id = %(instrument_id)s and session = %(session)s
"""

VINTAGES = """
    select b.payload_sha256, b.provider, b.ingested_at, count(*) as bars, min(b.session) as first_session,
        max(b.session) as last_session, p.sha256 is not null as is_stored
    from raw.daily_bars_as_of(stored_at => %(stored_at)s) b
    join reference.instruments i using (instrument_id)
    left join raw.payloads p on p.sha256 = b.payload_sha256
    where i.symbol = %(symbol)s and b.session > %(session)s::date - %(days)s::integer and b.session <= %(session)s
    group by b.payload_sha256, b.provider, b.ingested_at, p.sha256
    order by last_session, b.payload_sha256
"""
