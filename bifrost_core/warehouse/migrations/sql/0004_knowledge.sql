-- What was known when: the content of loads, actions with their values, bars with the factors of their session.

create table raw.load_attempts (
    attempt_id     bigint generated always as identity primary key,
    provider       text not null,
    first_session  date not null,
    last_session   date not null,
    started_at     timestamptz not null,
    finished_at    timestamptz,
    dagster_run_id text not null
);
comment on table raw.load_attempts is 'One row per load of a window; without finished_at it was cut short, and the next load of the window goes on where it stopped.';
create index on raw.load_attempts (provider, first_session, last_session, started_at);

create table raw.loads (
    instrument_id  integer not null references reference.instruments,
    provider       text not null,
    first_session  date not null,
    last_session   date not null,
    loaded_at      timestamptz not null,
    content_sha256 text not null,
    changed_rows   integer not null,
    held_rows      jsonb not null,
    problem        text,
    dagster_run_id text not null,
    primary key (instrument_id, first_session, last_session, provider, loaded_at)
);
comment on table raw.loads is 'One row per load of an instrument and window: a hash of what the provider sent, how many bars and actions it changed, how many rows it held back, by reason, and what was wrong. The same content again, with nothing changed since, is not compared again. Append-only.';
create index loads_by_session on raw.loads (last_session, instrument_id);
create index loads_that_changed on raw.loads (instrument_id, loaded_at) where changed_rows > 0;
create trigger append_only before update or delete on raw.loads
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on raw.loads
    for each statement execute function raw.refuse_change();

alter table raw.corporate_actions drop constraint corporate_actions_kind_check;
alter table raw.corporate_actions
    add constraint corporate_actions_kind_check check (kind in ('split', 'cash_dividend', 'symbol_change', 'delisting')),
    add column value double precision,
    add column details jsonb,
    add column is_cancelled boolean not null default false;
comment on column raw.corporate_actions.value is 'split: new shares for one old; cash_dividend: cash per share; delisting: what a share was worth at the end, where known.';
comment on column raw.corporate_actions.details is 'symbol_change: the symbols before and after, as {"from": ..., "to": ...}.';
comment on column raw.corporate_actions.is_cancelled is 'The provider took the action back: this vintage says that there is none.';

-- The actions of a session multiply: two of them on one day are rare, and real.
create function raw.action_factors_as_of(known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns table (instrument_id integer, session date, split_factor double precision, dividend_factor double precision)
    language sql stable parallel safe
as $$
    select
        a.instrument_id,
        a.ex_session,
        exp(coalesce(sum(ln(a.price_factor)) filter (where a.kind = 'split'), 0)),
        exp(coalesce(sum(ln(a.price_factor)) filter (where a.kind = 'cash_dividend'), 0))
    from raw.corporate_actions_as_of(known_at, stored_at) a
    where a.kind in ('split', 'cash_dividend') and not a.is_cancelled
    group by a.instrument_id, a.ex_session
$$;
comment on function raw.action_factors_as_of is 'Per instrument and ex-session: what multiplies earlier prices to make them comparable with those from that session on, splits and dividends apart, as known at known_at among what was stored by stored_at.';

-- One read for dbt, polars and SQL: total return = close / (previous close * split_factor * dividend_factor) - 1.
create function raw.bars_with_factors_as_of(known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns table (
        instrument_id integer, session date, open double precision, high double precision, low double precision,
        close double precision, volume double precision, split_factor double precision,
        dividend_factor double precision, available_at timestamptz, ingested_at timestamptz, provider text,
        payload_sha256 text
    )
    language sql stable parallel safe
as $$
    select
        b.instrument_id, b.session, b.open, b.high, b.low, b.close, b.volume,
        coalesce(f.split_factor, 1), coalesce(f.dividend_factor, 1),
        b.available_at, b.ingested_at, b.provider, b.payload_sha256
    from raw.daily_bars_as_of(known_at, stored_at) b
    left join raw.action_factors_as_of(known_at, stored_at) f
        on f.instrument_id = b.instrument_id and f.session = b.session
$$;
comment on function raw.bars_with_factors_as_of is 'Unadjusted bars with the factors of the actions that took effect that session (1 where none did), both as known at known_at among what was stored by stored_at.';

-- When a row was computed: what was stored later had no part in it.
alter table features.daily add column computed_at timestamptz not null default now();
alter table ml.predictions add column computed_at timestamptz not null default now();
alter table signals.signals add column computed_at timestamptz not null default now();
create index on features.daily (computed_at);

do $$
begin
    if current_setting('server_version_num')::integer >= 170000 then
        execute 'grant maintain on all tables in schema raw to bifrost_pipeline';
    end if;
end $$;
grant insert on raw.loads, raw.load_attempts to bifrost_pipeline;
grant update (finished_at) on raw.load_attempts to bifrost_pipeline;
