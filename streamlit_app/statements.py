"""The app's SQL (`$1` ... are parameters). Sums are made in NUMERIC; what is shown is cast to float8."""

from __future__ import annotations

EQUITY = """
    select p.session, p.equity::float8 as equity, p.cash::float8 as cash, p.market_value::float8 as market_value,
        p.daily_pnl::float8 as daily_pnl, p.commission::float8 as commission, p.fills,
        a.initial_cash::float8 as initial_cash, b.close as benchmark_close
    from marts.fct_pnl_daily p
    join trading.accounts a using (account)
    left join marts.fct_daily_bars b on b.session = p.session and b.symbol = $2
    where p.account = $1
    order by p.session
"""

# the benchmark's last close before the account's first day: where buy-and-hold starts
BENCHMARK_BASE = """
    select close from marts.fct_daily_bars
    where symbol = $2 and session < (select min(session) from marts.fct_pnl_daily where account = $1)
    order by session desc limit 1
"""

POSITIONS = """
    with held as (
        select p.symbol, p.quantity, p.avg_cost, p.realized_pnl, b.session, b.close, b.before,
            p.quantity * b.close::numeric as market_value
        from trading.positions p
        left join lateral (
            select session, close, lag(close) over (order by session) as before
            from marts.fct_daily_bars where symbol = p.symbol order by session desc limit 1
        ) b on true
        where p.account = $1
    )
    select symbol, quantity::float8 as quantity, avg_cost::float8 as avg_cost, close,
        market_value::float8 as market_value, (market_value / nullif($2::float8::numeric, 0))::float8 as weight,
        (quantity * (close - before)::numeric)::float8 as day_change,
        (market_value - quantity * avg_cost)::float8 as unrealized_pnl, realized_pnl::float8 as realized_pnl
    from held
    where quantity <> 0 or realized_pnl <> 0
    order by abs(market_value) desc nulls last, symbol
"""

NEWEST_BATCH = """
    select b.batch_id::text as batch_id, b.as_of_session, b.valid_from, b.valid_until, b.row_count,
        array_to_string(b.strategies, ', ') as strategies, coalesce(i.status, 'not taken yet') as status, i.reason_code,
        i.detail
    from signals.target_batches b
    left join trading.batch_intake i using (batch_id)
    where b.account = $1
    order by b.as_of_session desc, b.created_at desc limit 1
"""

TARGETS = """
    select t.symbol, t.target_weight::float8 as target_weight,
        (p.quantity * t.reference_price / nullif($3::float8::numeric, 0))::float8 as current_weight,
        t.reference_price::float8 as reference_price,
        (select string_agg(key || ' ' || to_char(value::numeric * 100, 'FMS990.0') || ' %', ', ' order by key)
            from jsonb_each_text(t.contributions)) as contributions
    from signals.targets t
    left join trading.positions p on p.account = $2 and p.symbol = t.symbol
    where t.batch_id = $1::text::uuid
    order by abs(t.target_weight) desc, t.symbol
"""

ORDERS = """
    select created_at, symbol, side, ord_status as status, order_qty::float8 as order_qty, cum_qty::float8 as filled,
        avg_px::float8 as avg_px, reference_price::float8 as reference_price,
        order_type || ' ' || time_in_force as terms, client_order_id
    from trading.orders where account = $1 order by created_at desc, symbol limit $2
"""

FILLS = """
    select event_at, symbol, side, last_qty::float8 as quantity, last_px::float8 as price,
        (last_qty * last_px)::float8 as value, commission::float8 as commission, fill_id, exec_id, client_order_id
    from trading.fills where account = $1 order by event_at desc, fill_id desc limit $2
"""

DESK = """
    select
        (select count(*) from trading.orders where account = $1
            and ord_status not in ('filled', 'canceled', 'rejected', 'expired')) as open_orders,
        (select count(*) from trading.orders where account = $1 and ord_status = 'unknown') as unknown_orders,
        (select count(*) from trading.blocked_symbols where account = $1) as blocked_symbols,
        (select string_agg(scope || case when key = '*' then '' else ' ' || key end, ', ' order by scope, key)
            from trading.kill_switches where engaged) as engaged,
        (select balance::float8 from trading.cash where account = $1) as cash,
        (select market_time from trading.heartbeats where market_time is not null
            order by beat_at desc limit 1) as market_time,
        (select is_clean from trading.reconciliations where account = $1
            order by reconciliation_id desc limit 1) as is_reconciled
"""

# the newest result of each expectation: a mended one is not a failed one
CHECK_RESULTS = """
    with newest as (
        select distinct on (asset_key, suite, expectation) asset_key, suite, expectation, passed,
            observed::text as observed, window_start, window_end, checked_at
        from quarantine.check_results order by asset_key, suite, expectation, check_id desc
    )
    select * from newest order by passed, asset_key, suite, expectation
"""

BACKTESTS = """
    with ranked as (
        select *, count(*) over (partition by strategy) as runs,
            row_number() over (partition by strategy order by created_at desc) as by_age,
            row_number() over (
                partition by strategy order by last_session - first_session desc, created_at desc
            ) as by_span
        from research.backtests
    )
    select backtest_id, strategy, first_session, last_session, metrics::text as metrics, runs, created_at, code_version
    from ranked where by_age = 1 or by_span = 1 order by strategy, first_session
"""

BACKTEST_EQUITY = """
    select session, equity, benchmark, equity / max(equity) over (order by session) - 1 as drawdown,
        benchmark / max(benchmark) over (order by session) - 1 as benchmark_drawdown
    from research.backtest_equity where backtest_id = $1 order by session
"""

SIGNALS = """
    select i.symbol, s.strategy, s.weight, s.session
    from signals.signals s
    join reference.instruments i using (instrument_id)
    where s.session = (select max(session) from signals.signals)
    order by i.symbol, s.strategy
"""

MODELS = """
    select model_name, model_version, trained_from, trained_to, usable_from, train_rows, metrics::text as metrics,
        mlflow_run_id, created_at
    from ml.model_versions order by usable_from desc, created_at desc limit 50
"""

DECISIONS = """
    select decided_at, outcome, reason_code, symbol, side, order_qty::float8 as order_qty,
        reference_price::float8 as reference_price, limit_value::float8 as limit_value,
        actual_value::float8 as actual_value, client_order_id
    from trading.risk_decisions
    where account = $1 and ($2 = 'all' or outcome = $2)
    order by decided_at desc, decision_id desc limit 200
"""

DECISION_COUNTS = """
    select outcome, reason_code, count(*) as decisions, max(decided_at) as last_at
    from trading.risk_decisions where account = $1 group by outcome, reason_code order by outcome desc, decisions desc
"""

# what of each limit is used: positions at the last close, orders of the newest day at their reference price
LIMITS = """
    with in_force as (
        select distinct on (code) code, value, unit, version
        from trading.limits where account in ('*', $1) order by code, account = '*', version desc
    ), held as (
        select p.symbol, p.quantity * b.close::numeric as market_value
        from trading.positions p
        join lateral (
            select close from marts.fct_daily_bars where symbol = p.symbol order by session desc limit 1
        ) b on true
        where p.account = $1
    ), book as (
        select sum(abs(h.market_value)) as gross, max(abs(h.market_value)) as largest,
            sum(h.market_value) + (select balance from trading.cash where account = $1) as equity
        from held h
    ), newest as (
        select max(o.order_qty * o.reference_price) as largest
        from trading.orders o
        where o.account = $1
            and o.created_at::date = (select max(created_at)::date from trading.orders where account = $1)
    ), used as (
        select 'MAX_POSITION' as code, largest as used from book
        union all select 'MAX_GROSS', gross / nullif(equity, 0) from book
        union all select 'MAX_ORDER_VALUE', largest from newest
    )
    select f.code, f.value::float8 as limit_value, f.unit, u.used::float8 as used,
        (u.used / nullif(f.value, 0))::float8 as share_used, (f.value - u.used)::float8 as headroom,
        f.version
    from in_force f left join used u using (code) order by share_used desc nulls last, f.code
"""

RECONCILIATIONS = """
    select event_at, is_clean, jsonb_array_length(breaks) as breaks, orders_checked, fills_checked,
        case when not is_clean then breaks::text end as detail
    from trading.reconciliations where account = $1 order by reconciliation_id desc limit 50
"""

BLOCKED = """
    select symbol, reason_code, detail, blocked_at from trading.blocked_symbols where account = $1 order by symbol
"""

CHAIN = """
    select h.seq as length, encode(h.entry_hash, 'hex') as head_hash, audit.verify() as broken_seq,
        (select max(event_at) from audit.chain) as newest_at
    from audit.chain_head h
"""

REPORT_SESSIONS = """
    select distinct session from compliance.reports order by session desc limit 500
"""

REPORTS = """
    select report, path, row_count, sha256, dagster_run_id, created_at
    from compliance.reports where session = $1 order by report, path
"""

FRESHNESS = """
    select * from (
        select 'raw/daily_bars' as asset, max(session) as newest_session, count(*) as row_count,
            max(ingested_at) as written_at from raw.daily_bars
        union all select 'features/daily', max(session), count(*), null from features.daily
        union all select 'ml/return_model', max(trained_to), count(*), max(created_at) from ml.model_versions
        union all select 'ml/predictions', max(session), count(*), null from ml.predictions
        union all select 'signals/signals', max(session), count(*), null from signals.signals
        union all select 'signals/targets', max(as_of_session), count(*), max(created_at) from signals.target_batches
        union all select 'research/backtests', max(last_session), count(*), max(created_at) from research.backtests
        union all select 'trading/fills', max(session), count(*), max(event_at) from trading.fills
        union all select 'compliance/order_audit_trail', max(session), count(*), null
            from compliance.order_audit_trail
        union all select 'compliance/limit_decisions', max(session), count(*), null from compliance.limit_decisions
    ) facts
"""

# `judged_seconds_ago` is for the page: verdicts that nobody renews say nothing about now
LATENESS = """
    select asset, due_session, has_session,
        case when is_late then extract(epoch from judged_at - due_at)::float8 / 3600 end as hours_late,
        replace(cause, '_', ' ') as cause, why, run_id, is_late, judged_at,
        extract(epoch from now() - judged_at)::float8 as judged_seconds_ago
    from quarantine.asset_freshness order by is_late desc, due_at, asset
"""

ALERTS = """
    select raised_at, asset, due_session, replace(cause, '_', ' ') as cause, why, delivered_at, attempts, last_error
    from quarantine.freshness_alerts order by alert_id desc limit 50
"""

QUARANTINED = """
    select source, reason, status, count(*) as row_count, max(quarantined_at) as last_at
    from quarantine.rows group by source, reason, status order by last_at desc limit 100
"""

HEARTBEATS = """
    select component, state, holder, market_time, beat_at, extract(epoch from now() - beat_at)::float8 as seconds_ago
    from trading.heartbeats order by component
"""

KILL_SWITCHES = """
    select scope, key, engaged, reason, actor, changed_at from trading.kill_switches
    order by engaged desc, changed_at desc
"""

RELEASES = """
    select proposal_id, diff -> 'target' ->> 'scope' as scope, diff -> 'target' ->> 'key' as key, diff_hash,
        proposed_by, cool_off_until
    from trading.change_proposals
    where kind = 'kill_switch_release' and applied_at is null and expires_at > now()
    order by proposal_id
"""

# Dagster's own storage
MATERIALIZATIONS = """
    select array_to_string(array(select jsonb_array_elements_text(asset_key::jsonb)), '/') as asset,
        max(timestamp) at time zone 'UTC' as materialized_at
    from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key is not null
    group by asset_key
"""

ASSET_CHECKS = """
    with newest as (
        select distinct on (asset_key, check_name) asset_key, check_name, execution_status, partition, run_id,
            evaluation_event_timestamp at time zone 'UTC' as checked_at
        from asset_check_executions order by asset_key, check_name, id desc
    )
    select array_to_string(array(select jsonb_array_elements_text(asset_key::jsonb)), '/') as asset, check_name,
        lower(execution_status) as status, partition, checked_at, run_id
    from newest order by execution_status, asset, check_name
"""

RUNS = """
    select r.run_id, r.pipeline_name as job, r.status, r.partition, to_timestamp(r.start_time) as started_at,
        r.end_time - r.start_time as seconds
    from runs r order by r.id desc limit 20
"""

REVISION_EFFECTS = """
    select e.revised_at, i.symbol, e.revised_sessions, e.largest_change, e.first_session, e.last_session,
        e.feature_rows, e.predictions, e.signals, e.targets, e.largest_weight_change, e.fills,
        e.fill_value::float8 as fill_value
    from research.revision_effects e
    join reference.instruments i using (instrument_id)
    order by e.revised_at desc, e.largest_weight_change desc, i.symbol
    limit 500
"""

REVISED_BARS = """
    select r.superseded_at, i.symbol, r.session, r.is_withdrawn, r.old_close, r.new_close, r.largest_price_change,
        r.volume_change
    from marts.fct_bar_revisions r
    join reference.instruments i using (instrument_id)
    order by r.superseded_at desc, r.largest_price_change desc nulls first
    limit 500
"""
