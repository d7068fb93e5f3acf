-- As-of reads of market data, and what the pipeline needs to plan well after a bulk load.

-- Both functions inline into the statement that calls them (stable SQL, one select), so a read costs a plain scan of the
-- vintages with an anti-join on the small table of superseded ones.
create function raw.daily_bars_as_of(known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns setof raw.daily_bars
    language sql stable parallel safe
as $$
    select b.*
    from raw.daily_bars b
    where b.available_at <= known_at
        and b.ingested_at <= stored_at
        and not exists (
            select 1
            from raw.daily_bars_superseded s
            where s.instrument_id = b.instrument_id
                and s.session = b.session
                and s.ingested_at = b.ingested_at
                and s.superseded_at <= least(known_at, stored_at)
        )
$$;
comment on function raw.daily_bars_as_of is 'The vintage of each bar that a trader could have known at known_at, among those we had stored by stored_at: one row per instrument and session at most. A first vintage is known at its session''s close + lag, a revision when it was stored.';

create function raw.corporate_actions_as_of(known_at timestamptz default 'infinity', stored_at timestamptz default 'infinity')
    returns setof raw.corporate_actions
    language sql stable parallel safe
as $$
    select a.*
    from raw.corporate_actions a
    where a.available_at <= known_at
        and a.ingested_at <= stored_at
        and not exists (
            select 1
            from raw.corporate_actions later
            where later.instrument_id = a.instrument_id
                and later.ex_session = a.ex_session
                and later.kind = a.kind
                and later.ingested_at > a.ingested_at
                and later.available_at <= known_at
                and later.ingested_at <= stored_at
        )
$$;
comment on function raw.corporate_actions_as_of is 'The vintage of each action known at known_at among those stored by stored_at. A retracted action is a vintage with price_factor 1.';

comment on column raw.daily_bars.vendor_adj_close is 'The provider''s adjusted close when this vintage was stored. Vendors restate it with every later action, so a change of it alone is no new vintage.';

-- ANALYZE after a bulk load (MAINTAIN is a privilege from PostgreSQL 17 on; before, autovacuum gets there later)
do $$
begin
    if current_setting('server_version_num')::integer >= 170000 then
        execute 'grant maintain on all tables in schema raw, reference to bifrost_pipeline';
    end if;
end $$;
