-- What is late and why, the alerts about it, and what dbt needs to touch only what changed.

create table quarantine.asset_freshness (
    asset       text primary key,
    due_session date not null,
    has_session date,
    due_at      timestamptz not null,
    is_late     boolean not null,
    cause       text not null check (cause in (
        'on_time', 'provider_has_not_published', 'run_failed', 'check_blocked', 'run_under_way', 'run_not_started')),
    why         text not null,
    run_id      text,
    judged_at   timestamptz not null,
    check (is_late = (cause <> 'on_time'))
);
comment on table quarantine.asset_freshness is 'One row per partitioned asset: the session that is due, the newest one it has, and why it is late where it is. Written by the sensor `freshness`.';

create table quarantine.freshness_alerts (
    alert_id     bigint generated always as identity primary key,
    asset        text not null,
    due_session  date not null,
    cause        text not null,
    why          text not null,
    run_id       text,
    raised_at    timestamptz not null default now(),
    attempts     integer not null default 0,
    tried_at     timestamptz,
    delivered_at timestamptz,
    last_error   text,
    unique (asset, due_session, cause)
);
comment on table quarantine.freshness_alerts is 'One row per asset, session and cause of lateness; delivered_at is set once the alert address has taken it. Kept also where no address is set.';

grant insert, update, delete on quarantine.asset_freshness, quarantine.freshness_alerts to bifrost_pipeline;

-- a dbt build as of a cutoff: beside the tables that the app reads, never over them
create schema staging_as_of authorization bifrost_pipeline;
create schema intermediate_as_of authorization bifrost_pipeline;
create schema marts_as_of authorization bifrost_pipeline;
grant usage on schema staging_as_of, intermediate_as_of, marts_as_of to bifrost_trader, bifrost_api, bifrost_reader;
alter default privileges for role bifrost_pipeline in schema staging_as_of, intermediate_as_of, marts_as_of
    grant select on tables to bifrost_reader, bifrost_trader, bifrost_api;

-- vintages since the last build, without reading the others
create index daily_bars_by_ingestion on raw.daily_bars using brin (ingested_at) with (pages_per_range = 32, autosummarize = on);
