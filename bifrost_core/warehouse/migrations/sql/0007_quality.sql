-- Suspect and held rows, who decided on them, and what was compared with what.

alter table quarantine.rows drop constraint rows_status_check;
alter table quarantine.rows
    add constraint rows_status_check check (status in ('held', 'flagged', 'released', 'dropped'));
comment on table quarantine.rows is 'Every row that failed a rule, whole, with the reason. held: not stored; flagged: stored and doubted; released or dropped: a person decided, see quarantine.decisions.';
create index rows_undecided on quarantine.rows (source, session) where status in ('held', 'flagged');
-- Nobody decides but through decide_v1, and what was held stays listed.
revoke update, delete on quarantine.rows from bifrost_pipeline;

create table quarantine.decisions (
    decision_id   bigint generated always as identity primary key,
    quarantine_id bigint not null unique references quarantine.rows,
    was           text not null check (was in ('held', 'flagged')),
    decision      text not null check (decision in ('released', 'dropped')),
    actor         text not null check (actor <> ''),
    because       text not null check (because <> ''),
    row_sha256    text not null,
    instrument_id integer references reference.instruments,
    session       date,
    open          double precision,
    high          double precision,
    low           double precision,
    close         double precision,
    volume        double precision,
    decided_at    timestamptz not null default now()
);
create index on quarantine.decisions (session, instrument_id);
comment on table quarantine.decisions is 'One row per decision of a person on a quarantined row: who, when, why, and the values decided on, by which a load knows them again. Append-only; each is in the audit chain too.';
revoke insert, update, delete on quarantine.decisions from bifrost_pipeline;
create trigger append_only before update or delete on quarantine.decisions
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on quarantine.decisions
    for each statement execute function raw.refuse_change();

-- What a held row would be as a bar; null where a value is missing or no number.
create function quarantine.number(p_row jsonb, p_name text)
returns double precision language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
    select case jsonb_typeof(p_row -> p_name) when 'number' then (p_row ->> p_name)::double precision end
$$;

-- Why a held row cannot become a bar, or null. The rules of bifrost_assets/market_data/bars.py that a table can tell.
create function quarantine.not_a_bar(d quarantine.decisions)
returns text language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when d.session is null then 'it has no session'
        when d.instrument_id is null then 'its symbol meant no instrument in that session'
        when num_nulls(d.open, d.high, d.low, d.close, d.volume) > 0 then 'a price or the volume is missing'
        when least(d.open, d.high, d.low, d.close) <= 0 or d.volume < 0 then 'a price or the volume is not positive'
        when d.low > least(d.open, d.close) or d.high < greatest(d.open, d.close)
            then 'low and high do not bound open and close'
        when not exists (
            select from reference.sessions s join reference.instruments i using (exchange_mic)
            where i.instrument_id = d.instrument_id and s.session = d.session and s.close_at < now()
        ) then 'the exchange did not trade on that day'
    end
$$;

-- Whether a decision on a row is about the values of a bar. The second copy of a bar has those of the first, which stays.
create function quarantine.is_of_values(p_row quarantine.rows)
returns boolean language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
    select p_row.source = 'raw.daily_bars' and p_row.reason <> 'the session has the same bar twice'
$$;

-- The values of a decision become the current vintage of their bar, unless a load has stored a newer one since.
create function quarantine.store_bar(d quarantine.decisions, p_row quarantine.rows, p_lag interval, p_at timestamptz)
returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_known timestamptz;
    v_newer timestamptz;
begin
    if exists (
        select from raw.daily_bars_as_of('infinity'::timestamptz, 'infinity'::timestamptz) b
        where b.instrument_id = d.instrument_id and b.session = d.session
            and (b.open, b.high, b.low, b.close, b.volume) = (d.open, d.high, d.low, d.close, d.volume)
    ) then
        return;
    end if;
    select b.ingested_at into v_newer
    from raw.daily_bars_as_of('infinity'::timestamptz, 'infinity'::timestamptz) b
    where b.instrument_id = d.instrument_id and b.session = d.session and b.ingested_at > p_row.quarantined_at;
    if found then
        raise exception 'row % cannot be released: its bar was stored anew at %, after the row was held', d.quarantine_id,
            to_char(v_newer at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') using errcode = 'BF013';
    end if;
    select greatest(s.close_at + p_lag, p_at) into strict v_known
    from reference.sessions s join reference.instruments i using (exchange_mic)
    where i.instrument_id = d.instrument_id and s.session = d.session;
    insert into raw.daily_bars_superseded (instrument_id, session, ingested_at, superseded_at)
    select b.instrument_id, b.session, b.ingested_at, p_at from raw.daily_bars_as_of('infinity'::timestamptz, 'infinity'::timestamptz) b
    where b.instrument_id = d.instrument_id and b.session = d.session;
    insert into raw.daily_bars (instrument_id, session, ingested_at, available_at, open, high, low, close, volume,
                                vendor_adj_close, provider, payload_sha256)
    values (d.instrument_id, d.session, p_at, v_known, d.open, d.high, d.low, d.close, d.volume,
            quarantine.number(p_row.row, 'vendor_adj_close'::text), p_row.provider, p_row.payload_sha256);
end $$;

-- A superseded row without a later vintage: as-of reads skip the bar from now on, and know it still for before.
create function quarantine.withdraw_bar(d quarantine.decisions, p_at timestamptz)
returns void language sql set search_path = pg_catalog, pg_temp as $$
    insert into raw.daily_bars_superseded (instrument_id, session, ingested_at, superseded_at)
    select b.instrument_id, b.session, b.ingested_at, p_at from raw.daily_bars_as_of('infinity'::timestamptz, 'infinity'::timestamptz) b
    where b.instrument_id = d.instrument_id and b.session = d.session
        and (b.open, b.high, b.low, b.close, b.volume) = (d.open, d.high, d.low, d.close, d.volume)
$$;

-- SQLSTATE BF010: a row is not there. BF011: it was decided otherwise. BF012: it cannot become a bar.
-- BF013: a newer bar is stored.
create function quarantine.decide_one(
    p_id bigint, p_decision text, p_because text, p_actor text, p_lag interval)
returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_row   quarantine.rows;
    v       quarantine.decisions;
    v_at    timestamptz := clock_timestamp();
    v_wrong text;
begin
    select * into v_row from quarantine.rows where quarantine_id = p_id for update;
    if not found then
        raise exception 'quarantine has no row %', p_id using errcode = 'BF010';
    end if;
    if v_row.status = p_decision then
        return false;
    end if;
    if v_row.status in ('released', 'dropped') then
        select * into v from quarantine.decisions where quarantine_id = p_id;
        raise exception 'row % was % by % at %: %', p_id, v.decision, v.actor,
            to_char(v.decided_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), v.because using errcode = 'BF011';
    end if;
    insert into quarantine.decisions (quarantine_id, was, decision, actor, because, row_sha256, instrument_id, session,
                                      open, high, low, close, volume, decided_at)
    select p_id, v_row.status, p_decision, p_actor, p_because, v_row.row_sha256,
        reference.instrument_of(v_row.subject, v_row.session), v_row.session,
        quarantine.number(v_row.row, 'open'::text), quarantine.number(v_row.row, 'high'::text),
        quarantine.number(v_row.row, 'low'::text), quarantine.number(v_row.row, 'close'::text),
        quarantine.number(v_row.row, 'volume'::text), v_at
    returning * into v;
    if v.was = 'held' and p_decision = 'released' then
        v_wrong := case v_row.source
            when 'raw.daily_bars' then quarantine.not_a_bar(v) else 'only daily bars can be stored by hand' end;
        if v_wrong is not null then
            raise exception 'row % cannot be released: %', p_id, v_wrong using errcode = 'BF012';
        end if;
        perform quarantine.store_bar(v, v_row, p_lag, v_at);
    elsif p_decision = 'dropped' and quarantine.is_of_values(v_row) then
        -- a held row, too: a load that judges stored bars again holds values that are in the table
        perform quarantine.withdraw_bar(v, v_at);
    end if;
    update quarantine.rows set status = p_decision where quarantine_id = p_id;
    if v_row.source = 'raw.daily_bars' and v.instrument_id is not null and v.session is not null
        and not (v.was = 'flagged' and p_decision = 'released') then
        -- the same answer of the provider has to be read again: what becomes of it has changed
        insert into raw.loads (provider, instrument_id, first_session, last_session, loaded_at, content_sha256,
                               changed_rows, held_rows, dagster_run_id)
        values (coalesce(v_row.provider, 'quarantine'), v.instrument_id, v.session, v.session, v_at,
                'quarantine decision', 1, '{}', 'quarantine decision ' || v.decision_id);
    end if;
    perform audit.append('quarantine'::text, jsonb_build_object(
        'quarantine_id', p_id, 'source', v_row.source, 'subject', v_row.subject, 'session', v_row.session,
        'reason', v_row.reason, 'row_sha256', v_row.row_sha256, 'was', v.was, 'decision', p_decision,
        'actor', p_actor, 'because', p_because), v_at);
    return true;
end $$;

create function quarantine.decide_v1(
    p_ids bigint[], p_decision text, p_because text, p_actor text, p_lag interval)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_done integer := 0;
    v_id   bigint;
begin
    perform pg_advisory_xact_lock(7201001);  -- loads take turns with decisions: bifrost_assets/market_data/vintages.py
    foreach v_id in array (select coalesce(array_agg(distinct i order by i), '{}') from unnest(p_ids) i) loop
        v_done := v_done + quarantine.decide_one(v_id, p_decision, p_because, p_actor, p_lag)::integer;
    end loop;
    return v_done;
end $$;
comment on function quarantine.decide_v1 is 'Releases or drops rows, all of them or none, and returns how many were not decided so before. Released: a held bar is stored, known from now on; a flagged one is no longer doubted. Dropped: the values are never stored; where they are the current vintage of their bar, it is withdrawn. Each is audited.';

create view quarantine.decided_bars as
    select distinct on (d.instrument_id, d.session, d.open, d.high, d.low, d.close, d.volume)
        d.instrument_id, d.session, d.open, d.high, d.low, d.close, d.volume, d.decision, d.decided_at
    from quarantine.decisions d
    join quarantine.rows r using (quarantine_id)
    where quarantine.is_of_values(r) and d.instrument_id is not null
    order by d.instrument_id, d.session, d.open, d.high, d.low, d.close, d.volume, d.decision_id desc;
comment on view quarantine.decided_bars is 'Values of bars that a person has decided on: one row per instrument, session and values, the last decision.';

create table raw.comparison_bars (
    instrument_id  integer not null references reference.instruments,
    session        date not null,
    provider       text not null,
    ingested_at    timestamptz not null,
    open           double precision not null,
    high           double precision not null,
    low            double precision not null,
    close          double precision not null,
    volume         double precision not null,
    payload_sha256 text not null,
    primary key (session, instrument_id, provider, ingested_at)
);
comment on table raw.comparison_bars is 'Daily bars of a second provider, one row per instrument, session, provider and vintage: what ours are compared with, and nothing else. Append-only.';
create trigger append_only before update or delete on raw.comparison_bars
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on raw.comparison_bars
    for each statement execute function raw.refuse_change();

revoke all on all functions in schema quarantine from public;
grant execute on function quarantine.decide_v1 to bifrost_api, bifrost_pipeline;
grant execute on function quarantine.is_of_values to bifrost_pipeline, bifrost_reader, bifrost_api;
grant insert on raw.comparison_bars to bifrost_pipeline;
