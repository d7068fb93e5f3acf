-- One-minute bars, their roll-ups, and how long each table keeps its rows.
--
-- The minutes are stored by one of two backends, behind the same tables and functions: monthly partitions, made when they
-- are needed ("native"), or TimescaleDB hypertables with compression ("timescale"). All that differs is in the functions
-- that are named after their backend; docs/intraday.md tells how to move from one to the other.

------------------------------------------------------------------------------------------------------ TimescaleDB

create function raw.timescale_is_usable() returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from pg_extension where extname = 'timescaledb') then
        return true;
    end if;
    -- without the library preloaded, creating the extension ends the session
    return exists (select from pg_available_extensions where name = 'timescaledb')
        and current_setting('shared_preload_libraries') like '%timescaledb%';
exception
    when insufficient_privilege then
        return false;  -- may not see what is preloaded: an administrator creates the extension first
end $$;
comment on function raw.timescale_is_usable is 'Whether the extension is there, or can be created by the owner.';

create function raw.timescale_schema() returns text language sql stable set search_path = pg_catalog, pg_temp as $$
    select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
$$;

create function raw.timescale_compress(p_table regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format(
        'alter table %s set (timescaledb.compress, timescaledb.compress_segmentby = ''instrument_id'', '
        'timescaledb.compress_orderby = ''start_at, ingested_at'')', p_table);
end $$;

create function raw.timescale_adopt(p_table regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format(
        'select %s.create_hypertable(%L::regclass, ''start_at'', chunk_time_interval => interval ''1 month'', '
        'create_default_indexes => false)', raw.timescale_schema(), p_table);
    perform raw.timescale_compress(p_table);
    execute format(
        'select %s.add_compression_policy(%L::regclass, compress_after => interval ''1 month'')',
        raw.timescale_schema(), p_table);
end $$;
comment on function raw.timescale_adopt is 'Makes an empty table a hypertable with monthly chunks, compressed a month after they end.';

create function raw.timescale_expired(p_table regclass, p_before timestamptz)
returns setof text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return query execute format(
        'select c::text from %s.show_chunks(%L::regclass, older_than => %L::timestamptz) c', raw.timescale_schema(), p_table, p_before);
end $$;

create function raw.timescale_drop(p_table regclass, p_before timestamptz) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format(
        'select %s.drop_chunks(%L::regclass, older_than => %L::timestamptz)', raw.timescale_schema(), p_table, p_before);
end $$;

------------------------------------------------------------------------------------------------ native partitions

create function raw.native_make_partitions(p_table regclass, p_first timestamptz, p_last timestamptz)
returns integer language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    v_month timestamptz;
    v_name  text;
    v_made  integer := 0;
begin
    for v_month in
        select generate_series(date_trunc('month', p_first), date_trunc('month', p_last), interval '1 month')
    loop
        v_name := p_table::text || '_m' || to_char(v_month, 'YYYYMM');
        if to_regclass(v_name) is null then
            execute format(
                'create table %s partition of %s for values from (%L) to (%L)',
                v_name, p_table, v_month, v_month + interval '1 month');
            -- row triggers come from the parent, this one does not
            execute format(
                'create trigger append_only_truncate before truncate on %s for each statement '
                'execute function raw.refuse_change()', v_name);
            if current_setting('server_version_num')::integer >= 170000 then
                execute format('grant maintain on %s to bifrost_pipeline', v_name);
            end if;
            v_made := v_made + 1;
        end if;
    end loop;
    return v_made;
end $$;

create function raw.native_expired(p_table regclass, p_before timestamptz)
returns setof text language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
    select c.oid::regclass::text
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = p_table
        and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz <= p_before
    order by c.relname
$$;
comment on function raw.native_expired is 'The partitions that end at p_before or earlier.';

create function raw.native_drop(p_table regclass, p_before timestamptz) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_partition text;
begin
    for v_partition in select raw.native_expired(p_table, p_before) loop
        execute 'drop table ' || v_partition;
    end loop;
end $$;

------------------------------------------------------------------------------------------------------ minute bars

create function raw.create_minute_tables(p_backend text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_storage text := case p_backend when 'native' then 'partition by range (start_at)' when 'timescale' then '' end;
    v_table   regclass;
begin
    if v_storage is null then
        raise exception 'there is no backend %', p_backend using hint = 'Use native or timescale.';
    end if;
    execute 'create table raw.minute_bars (
        instrument_id  integer not null,
        session        date not null,
        start_at       timestamptz not null,
        ingested_at    timestamptz not null,
        available_at   timestamptz not null,
        open           double precision not null,
        high           double precision not null,
        low            double precision not null,
        close          double precision not null,
        volume         double precision not null,
        provider       text not null,
        payload_sha256 text not null,
        primary key (instrument_id, start_at, ingested_at)
    ) ' || v_storage;
    execute 'create table raw.minute_bars_superseded (
        instrument_id integer not null,
        start_at      timestamptz not null,
        ingested_at   timestamptz not null,
        superseded_at timestamptz not null,
        primary key (instrument_id, start_at, ingested_at)
    ) ' || v_storage;
    create index on raw.minute_bars using brin (start_at);
    comment on table raw.minute_bars is 'One row per instrument, minute and vintage: unadjusted OHLCV of the minute that begins at start_at, as the provider published it. Append-only; whole months are dropped by reference.retention.';
    comment on table raw.minute_bars_superseded is 'One row per vintage of raw.minute_bars that a later one replaced. Append-only.';
    foreach v_table in array array['raw.minute_bars', 'raw.minute_bars_superseded']::regclass[] loop
        execute format('create trigger append_only before update or delete on %s for each row execute function raw.refuse_change()', v_table);
        execute format('create trigger append_only_truncate before truncate on %s for each statement execute function raw.refuse_change()', v_table);
        execute format('grant insert on %s to bifrost_pipeline', v_table);
        if current_setting('server_version_num')::integer >= 170000 then
            execute format('grant maintain on %s to bifrost_pipeline', v_table);
        end if;
        if p_backend = 'timescale' then
            perform raw.timescale_adopt(v_table);
        end if;
    end loop;
end $$;
comment on function raw.create_minute_tables is 'Makes raw.minute_bars and raw.minute_bars_superseded, stored natively or by TimescaleDB.';

do $$
declare
    v_backend text := case when raw.timescale_is_usable() then 'timescale' else 'native' end;
begin
    if v_backend = 'timescale' then
        create extension if not exists timescaledb;
    end if;
    perform raw.create_minute_tables(v_backend);
end $$;

create function raw.minute_backend() returns text language sql stable set search_path = pg_catalog, pg_temp as $$
    select case relkind when 'p' then 'native' else 'timescale' end from pg_class where oid = 'raw.minute_bars'::regclass
$$;
comment on function raw.minute_backend is 'Which backend stores the minutes: native or timescale.';

create function raw.ensure_minute_partitions_v1(p_first timestamptz, p_last timestamptz)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '60s' as $$
begin
    if p_first > p_last or p_first < '1970-01-01' or p_last > now() + interval '1 month' then
        raise exception 'no partitions for minutes from % to %', p_first, p_last
            using hint = 'Ask for months from 1970 to the next one.';
    end if;
    if raw.minute_backend() <> 'native' then
        return 0;  -- TimescaleDB makes its chunks itself
    end if;
    perform pg_advisory_xact_lock(7201003);
    return raw.native_make_partitions('raw.minute_bars'::regclass, p_first, p_last)
        + raw.native_make_partitions('raw.minute_bars_superseded'::regclass, p_first, p_last);
end $$;
comment on function raw.ensure_minute_partitions_v1 is 'Makes the months that minutes from p_first to p_last need and that are not there; returns how many tables it made. Locks the tables: commit at once.';

create function raw.move_minute_bars(p_backend text) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_first timestamptz;
    v_last  timestamptz;
    v_rows  bigint;
begin
    alter table raw.minute_bars rename to minute_bars_moving;
    alter table raw.minute_bars_superseded rename to minute_bars_superseded_moving;
    perform raw.create_minute_tables(p_backend);
    select min(start_at), max(start_at) into v_first, v_last from raw.minute_bars_moving;
    if p_backend = 'native' and v_first is not null then
        perform raw.native_make_partitions('raw.minute_bars'::regclass, v_first, v_last);
        perform raw.native_make_partitions('raw.minute_bars_superseded'::regclass, v_first, v_last);
    end if;
    insert into raw.minute_bars select * from raw.minute_bars_moving;
    get diagnostics v_rows = row_count;
    insert into raw.minute_bars_superseded select * from raw.minute_bars_superseded_moving;
    drop table raw.minute_bars_moving, raw.minute_bars_superseded_moving;
    return v_rows;
end $$;
comment on function raw.move_minute_bars is 'Moves the minutes to another backend in the caller''s transaction; returns the vintages moved. Owner only.';

create table raw.minute_loads (
    instrument_id  integer not null references reference.instruments,
    provider       text not null,
    first_session  date not null,
    last_session   date not null,
    loaded_at      timestamptz not null,
    content_sha256 text not null,
    payload_sha256 text not null,
    good_rows      integer not null,
    changed_rows   integer not null,
    held_rows      jsonb not null,
    dagster_run_id text not null,
    primary key (instrument_id, first_session, last_session, provider, loaded_at)
);
create index on raw.minute_loads (payload_sha256);
comment on table raw.minute_loads is 'One row per load of an instrument''s minutes in a window of sessions that was not known already: a hash of what the provider sent and of the sessions'' hours, and what came of it. Append-only.';
create trigger append_only before update or delete on raw.minute_loads
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on raw.minute_loads
    for each statement execute function raw.refuse_change();
grant insert on raw.minute_loads to bifrost_pipeline;

-- Returns columns, not the table's type: so the tables can be made anew by another backend.
create function raw.minute_bars_as_of(known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns table (
        instrument_id integer, session date, start_at timestamptz, ingested_at timestamptz, available_at timestamptz,
        open double precision, high double precision, low double precision, close double precision,
        volume double precision, provider text, payload_sha256 text
    )
    language sql stable parallel safe
as $$
    select
        b.instrument_id, b.session, b.start_at, b.ingested_at, b.available_at,
        b.open, b.high, b.low, b.close, b.volume, b.provider, b.payload_sha256
    from raw.minute_bars b
    where b.available_at <= known_at
        and b.ingested_at <= stored_at
        and not exists (
            select 1
            from raw.minute_bars_superseded s
            where s.instrument_id = b.instrument_id
                and s.start_at = b.start_at
                and s.ingested_at = b.ingested_at
                and s.superseded_at <= least(known_at, stored_at)
        )
$$;
comment on function raw.minute_bars_as_of is 'The vintage of each minute that could have been known at known_at, among those stored by stored_at. A minute is known at its session''s close + lag; one that came or changed after the session was loaded, when it was stored.';

-------------------------------------------------------------------------------------------------------- roll-ups

create function raw.minute_bucket(start_at timestamptz, open_at timestamptz, minutes integer)
returns timestamptz language sql immutable parallel safe
return date_bin(make_interval(mins => minutes), start_at, open_at);
comment on function raw.minute_bucket is 'The start of the bucket of so many minutes that a minute falls into, counted from the session''s open: instants, so that no change of clocks moves it. The last bucket of a session may be short.';

create function raw.rolled_up_minutes_as_of(
    bucket_minutes integer, first_session date, last_session date,
    known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns table (
        instrument_id integer, session date, start_at timestamptz, open double precision, high double precision,
        low double precision, close double precision, volume double precision, minutes integer,
        available_at timestamptz, ingested_at timestamptz
    )
    language sql stable parallel safe
as $$
    select
        b.instrument_id,
        b.session,
        raw.minute_bucket(b.start_at, s.open_at, bucket_minutes),
        -- arrays compare by their first element first: the open of the earliest minute, the close of the latest
        (min(array[date_part('epoch', b.start_at), b.open]))[2],
        max(b.high),
        min(b.low),
        (max(array[date_part('epoch', b.start_at), b.close]))[2],
        sum(b.volume),
        count(*)::integer,
        max(b.available_at),
        max(b.ingested_at)
    from raw.minute_bars_as_of(known_at, stored_at) b
    join reference.instruments i on i.instrument_id = b.instrument_id
    join reference.sessions s on s.exchange_mic = i.exchange_mic and s.session = b.session
    where b.session between first_session and last_session
        and s.session between first_session and last_session
        -- the same in terms of the partitions, with room for exchanges whose day begins before UTC's
        and b.start_at >= (first_session - 1)::timestamp at time zone 'UTC'
        and b.start_at < (last_session + 2)::timestamp at time zone 'UTC'
    group by b.instrument_id, b.session, raw.minute_bucket(b.start_at, s.open_at, bucket_minutes)
$$;
comment on function raw.rolled_up_minutes_as_of is 'Bars of bucket_minutes (5, 15, 60; 1440 for whole sessions) of the minutes known at known_at among those stored by stored_at: first open, highest high, lowest low, last close, summed volume, and how many minutes there were.';

create table features.five_minute_bars (
    instrument_id integer not null,
    session       date not null,
    start_at      timestamptz not null,
    open          double precision not null,
    high          double precision not null,
    low           double precision not null,
    close         double precision not null,
    volume        double precision not null,
    minutes       integer not null check (minutes between 1 and 5),
    available_at  timestamptz not null,
    ingested_at   timestamptz not null,
    primary key (instrument_id, start_at)
);
create index on features.five_minute_bars using brin (session);
comment on table features.five_minute_bars is 'One row per instrument and five minutes of a session: raw.rolled_up_minutes_as_of(5) of the latest minutes, stored because reading it is many times as fast as computing it. minutes is how many of the five there were.';
grant insert, update, delete on features.five_minute_bars to bifrost_pipeline;

------------------------------------------------------------------------------------------------------- retention

create view raw.minute_payloads as
    select p.*
    from raw.payloads p
    where exists (select from raw.minute_loads l where l.payload_sha256 = p.sha256)
        and not exists (select from raw.daily_bars b where b.payload_sha256 = p.sha256)
        and not exists (select from raw.corporate_actions a where a.payload_sha256 = p.sha256)
        and not exists (select from quarantine.rows q where q.payload_sha256 = p.sha256 and q.status = 'held');
comment on view raw.minute_payloads is 'The payloads that only minutes came from, and no row in quarantine waits for.';

create table reference.retention (
    table_name  text primary key check (split_part(table_name, '.', 1) not in ('trading', 'audit', '')),
    time_column text not null,
    keep_days   integer check (keep_days >= 1),
    reason      text not null check (reason <> ''),
    changed_by  text not null default session_user,
    changed_at  timestamptz not null default now()
);
comment on table reference.retention is 'One row per table whose rows may be removed by age of time_column: keep_days null keeps them for ever, as does having no row here. Every change goes into the audit chain.';

create function reference.check_retention() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_table regclass := to_regclass(new.table_name);
begin
    -- as PostgreSQL writes it, so that no other spelling passes the check on its schema
    if v_table is null or v_table::text <> new.table_name or not exists (
        select from pg_attribute where attrelid = v_table and attname = new.time_column and not attisdropped
    ) then
        raise exception 'there is no %.%', new.table_name, new.time_column;
    end if;
    if new.keep_days is not null and reference.storage_of(v_table) = 'rows'
        and exists (select from pg_trigger where tgrelid = v_table and tgname = 'append_only')
    then
        raise exception '% is append-only and has no partitions that could be dropped', new.table_name
            using hint = 'Keep it for ever: leave keep_days null.';
    end if;
    new.changed_by := session_user;
    new.changed_at := now();
    return new;
end $$;

create function reference.record_retention()
returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform audit.append(
        'retention_policy'::text, jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(new)), clock_timestamp());
    return null;
end $$;

create function reference.storage_of(p_table regclass)
returns text language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when c.relkind = 'p' then 'native'
        when p_table::text in ('raw.minute_bars', 'raw.minute_bars_superseded') then 'timescale'
        else 'rows'
    end
    from pg_class c where c.oid = p_table
$$;
comment on function reference.storage_of is 'What can be dropped of a table: partitions (native), chunks (timescale), or rows.';

create function reference.expired(p_policy reference.retention)
returns table (piece text, row_count bigint) language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    v_table  regclass := p_policy.table_name::regclass;
    v_before timestamptz := reference.kept_from(p_policy);
begin
    if reference.storage_of(v_table) = 'rows' then
        piece := p_policy.table_name;
        execute format('select count(*) from %s where %I < $1', v_table, p_policy.time_column) into row_count using v_before;
        if row_count > 0 then
            return next;
        end if;
        return;
    end if;
    for piece in execute format('select raw.%I($1, $2)', reference.storage_of(v_table) || '_expired') using v_table, v_before loop
        execute format('select count(*) from %s', piece) into row_count;
        return next;
    end loop;
end $$;
comment on function reference.expired is 'What a policy would remove now, piece by piece: partitions that are wholly too old, or rows.';

create function reference.kept_from(p_policy reference.retention)
returns timestamptz language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
    select date_trunc('day', now()) - make_interval(days => p_policy.keep_days)
$$;

create function reference.expired_v1()
returns table (table_name text, piece text, row_count bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select r.table_name, e.piece, e.row_count
    from reference.retention r cross join lateral reference.expired(r) e
    where r.keep_days is not null
    order by r.table_name, e.piece
$$;
comment on function reference.expired_v1 is 'What the policies would remove now. Removes nothing.';

create function reference.delete_expired(p_policy reference.retention, p_rows_max integer)
returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_rows bigint;
begin
    execute format(
        'delete from %1$s where %2$I < $1 and %2$I <= coalesce('
        '(select %2$I from %1$s where %2$I < $1 order by 1 offset $2 - 1 limit 1), ''infinity'')',
        p_policy.table_name::regclass, p_policy.time_column)
        using reference.kept_from(p_policy), p_rows_max;
    get diagnostics v_rows = row_count;
    return v_rows;
end $$;
comment on function reference.delete_expired is 'Deletes the oldest expired rows, p_rows_max of them and those of the same time as the last.';

create function reference.apply_retention_v1(p_table text, p_rows_max integer default 10000)
returns table (piece text, row_count bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '10s' as $$
declare
    v_policy reference.retention;
begin
    select r.* into v_policy from reference.retention r where r.table_name = p_table;
    if v_policy.table_name is null or split_part(p_table, '.', 1) in ('trading', 'audit') then
        raise exception 'no policy says how long % is kept: nothing of it is removed', p_table
            using hint = 'reference.retention holds the policies; trading and audit never have one.';
    end if;
    for piece, row_count in select e.piece, e.row_count from reference.expired(v_policy) e where v_policy.keep_days is not null loop
        if reference.storage_of(p_table::regclass) = 'rows' then
            row_count := reference.delete_expired(v_policy, p_rows_max);
        end if;
        perform audit.append(
            'retention'::text,
            jsonb_build_object(
                'table', p_table, 'piece', piece, 'rows', row_count, 'keep_days', v_policy.keep_days,
                'kept_from', reference.kept_from(v_policy), 'by', session_user),
            clock_timestamp());
        return next;
    end loop;
    if v_policy.keep_days is not null and reference.storage_of(p_table::regclass) <> 'rows' then
        execute format('select raw.%I($1, $2)', reference.storage_of(p_table::regclass) || '_drop')
            using p_table::regclass, reference.kept_from(v_policy);
    end if;
end $$;
comment on function reference.apply_retention_v1 is 'Removes what the policy of a table says, and writes each piece into the audit chain: all expired partitions, or one batch of rows (call again until nothing comes back).';

create trigger checked before insert or update on reference.retention
    for each row execute function reference.check_retention();
insert into reference.retention (table_name, time_column, keep_days, reason) values
    ('raw.daily_bars', 'session', null, 'what every decision was made from'),
    ('raw.daily_bars_superseded', 'superseded_at', null, 'what every decision was made from'),
    ('raw.corporate_actions', 'ex_session', null, 'what every decision was made from'),
    ('raw.payloads', 'fetched_at', null, 'every daily bar leads back to its payload'),
    ('raw.minute_bars', 'start_at', 1826, 'five years of minutes; the daily bars stay'),
    ('raw.minute_bars_superseded', 'start_at', 1826, 'as long as the minutes'),
    ('features.five_minute_bars', 'start_at', 1826, 'as long as the minutes'),
    ('raw.minute_payloads', 'fetched_at', 90, 'large, and of use while a load is fresh'),
    ('quarantine.rows', 'quarantined_at', null, 'nothing that a rule refused is lost'),
    ('quarantine.check_results', 'checked_at', 1826, 'as long as the minutes they judge');
create trigger audited after insert or update or delete on reference.retention
    for each row execute function reference.record_retention();

---------------------------------------------------------------------------------------------------------- rights

revoke all on function
    raw.timescale_compress, raw.timescale_adopt, raw.timescale_drop, raw.native_make_partitions, raw.native_drop,
    raw.create_minute_tables, raw.move_minute_bars, raw.ensure_minute_partitions_v1, reference.check_retention,
    reference.record_retention, reference.expired, reference.expired_v1, reference.delete_expired,
    reference.apply_retention_v1
    from public;
grant execute on function raw.ensure_minute_partitions_v1, reference.apply_retention_v1 to bifrost_pipeline;
grant execute on function reference.expired_v1 to bifrost_pipeline, bifrost_reader;
