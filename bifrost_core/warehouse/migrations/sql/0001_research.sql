-- What the pipeline computes: features, models, signals, targets, backtests, quality, compliance.

create table features.daily (
    instrument_id    integer not null,
    session          date not null,
    return_1d        double precision,
    return_5d        double precision,
    return_21d       double precision,
    return_63d       double precision,
    return_252d      double precision,
    volatility_21d   double precision,
    momentum_12_1    double precision,
    rsi_14d          double precision,
    zscore_21d       double precision,
    volume_ratio_21d double precision,
    beta_252d        double precision,
    available_at     timestamptz not null,
    data_version     text not null,
    code_version     text not null,
    dagster_run_id   text not null,
    primary key (instrument_id, session)
);
create index on features.daily (session);
comment on table features.daily is 'One row per instrument and session, from bars available at the session''s cutoff and nothing later.';

create table ml.model_versions (
    model_name     text not null,
    model_version  text not null,
    mlflow_run_id  text not null,
    trained_from   date not null,
    trained_to     date not null,
    usable_from    date not null,
    purge_sessions integer not null,
    embargo_sessions integer not null,
    train_rows     integer not null,
    metrics        jsonb not null,
    data_version   text not null,
    code_version   text not null,
    dagster_run_id text not null,
    created_at     timestamptz not null default now(),
    primary key (model_name, model_version),
    check (trained_from <= trained_to and trained_to < usable_from)
);
comment on table ml.model_versions is 'One row per version registered in MLflow: the sessions it learned from and the first session it may predict.';

create table ml.predictions (
    instrument_id  integer not null,
    session        date not null,
    model_name     text not null,
    model_version  text not null,
    prediction     double precision not null,
    data_version   text not null,
    code_version   text not null,
    dagster_run_id text not null,
    primary key (instrument_id, session, model_name),
    foreign key (model_name, model_version) references ml.model_versions
);
create index on ml.predictions (session);
comment on table ml.predictions is 'Predicted next-5-session return relative to the universe mean, per instrument and session, only from models usable before the session.';

create table signals.signals (
    session        date not null,
    strategy       text not null,
    instrument_id  integer not null,
    weight         double precision not null,
    model_name     text,
    model_version  text,
    data_version   text not null,
    code_version   text not null,
    dagster_run_id text not null,
    primary key (session, strategy, instrument_id)
);
comment on table signals.signals is 'What each strategy wants to hold after a session, as a fraction of its capital, before portfolio limits.';

create table signals.target_batches (
    batch_id       uuid primary key,
    account        text not null,
    strategies     text[] not null,
    as_of_session  date not null,
    valid_from     timestamptz not null,
    valid_until    timestamptz not null,
    row_count      integer not null,
    content_hash   text not null,
    dagster_run_id text not null,
    code_version   text not null,
    data_version   text not null,
    created_at     timestamptz not null default now(),
    check (valid_from < valid_until and isfinite(valid_from) and isfinite(valid_until))
);
create index on signals.target_batches (account, as_of_session);
comment on table signals.target_batches is 'The contract with the execution daemon: one row per batch, written in one transaction with its targets. bifrost_core.trading.targets defines content_hash.';

create table signals.targets (
    batch_id        uuid not null references signals.target_batches,
    symbol          text not null,
    target_weight   numeric(12, 8) not null,
    reference_price numeric(18, 6) not null,
    contributions   jsonb not null,
    primary key (batch_id, symbol)
);
comment on table signals.targets is 'One row per batch and symbol: weight of account equity to hold, the close it was computed from, and each strategy''s part of it.';

create table research.backtests (
    backtest_id    text primary key,
    strategy       text not null,
    first_session  date not null,
    last_session   date not null,
    initial_cash   numeric(18, 2) not null,
    parameters     jsonb not null,
    metrics        jsonb not null,
    data_version   text not null,
    code_version   text not null,
    dagster_run_id text not null,
    created_at     timestamptz not null default now()
);
comment on table research.backtests is 'One row per backtest ever run; backtest_id is the hash of strategy, window, parameters, data and code.';

create table research.backtest_equity (
    backtest_id text not null references research.backtests,
    session     date not null,
    equity      double precision not null,
    benchmark   double precision not null,
    primary key (backtest_id, session)
);
comment on table research.backtest_equity is 'Account equity and buy-and-hold of the index with the same initial cash, by session.';

create table research.backtest_trades (
    backtest_id text not null references research.backtests,
    trade_no    integer not null,
    session     date not null,
    symbol      text not null,
    quantity    numeric(20, 6) not null,
    price       numeric(18, 6) not null,
    commission  numeric(18, 6) not null,
    primary key (backtest_id, trade_no)
);
comment on table research.backtest_trades is 'One row per simulated execution; quantity is signed.';

create table quarantine.check_results (
    check_id       bigint generated always as identity primary key,
    asset_key      text not null,
    suite          text not null,
    expectation    text not null,
    passed         boolean not null,
    observed       jsonb not null,
    window_start   date,
    window_end     date,
    dagster_run_id text not null,
    checked_at     timestamptz not null default now()
);
comment on table quarantine.check_results is 'One row per Great Expectations expectation and run.';

create table compliance.order_audit_trail (
    session           date not null,
    event_seq         bigint not null,
    event_at          timestamptz not null,
    client_order_id   text not null,
    broker_order_id   text,
    account           text not null,
    symbol            text not null,
    side              text not null,
    order_type        text not null,
    time_in_force     text not null,
    order_qty         numeric(20, 6) not null,
    event_kind        text not null,
    ord_status        text not null,
    last_qty          numeric(20, 6) not null,
    last_px           numeric(18, 6),
    batch_id          uuid not null,
    dagster_run_id    text not null,
    primary key (session, event_seq)
);
comment on table compliance.order_audit_trail is 'One row per order event of a session, in sequence: the daily order audit trail (after the shape of SEC Rule 613/CAT events).';

create table compliance.limit_decisions (
    session        date not null,
    decision_id    bigint not null,
    decided_at     timestamptz not null,
    account        text not null,
    symbol         text not null,
    client_order_id text not null,
    outcome        text not null,
    reason_code    text not null,
    limit_value    numeric,
    actual_value   numeric,
    dagster_run_id text not null,
    primary key (session, decision_id)
);
comment on table compliance.limit_decisions is 'One row per risk decision of a session, accepted or denied.';

create table compliance.reports (
    session        date not null,
    report         text not null,
    path           text not null,
    sha256         text not null,
    row_count      integer not null,
    dagster_run_id text not null,
    created_at     timestamptz not null default now(),
    primary key (session, report, path)
);
comment on table compliance.reports is 'The files written for a session, with their hashes.';
