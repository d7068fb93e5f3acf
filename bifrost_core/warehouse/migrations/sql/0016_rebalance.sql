-- What is hashed of an entry, without what came before it: that of many is made at once, and only linking is a loop.

create function audit.entry_bytes(p_seq bigint, p_kind text, p_payload jsonb, p_event_at timestamptz)
returns bytea language sql immutable parallel safe
return convert_to(
    p_seq::text || '|' || p_kind || '|' || (extract(epoch from p_event_at) * 1000000)::bigint::text || '|' || p_payload::text,
    'UTF8');
comment on function audit.entry_bytes is 'seq|kind|event_at in microseconds since 1970|payload as jsonb prints it.';

create or replace function audit.entry_hash(p_prev bytea, p_seq bigint, p_kind text, p_payload jsonb, p_event_at timestamptz)
returns bytea language sql immutable parallel safe
return sha256(p_prev || audit.entry_bytes(p_seq, p_kind, p_payload, p_event_at));

create or replace function trading.submit_intents_v1(
    p_account text, p_holder text, p_epoch bigint, p_at timestamptz, p_reserve_limit numeric, p_intents jsonb)
returns table (client_order_id text, outcome text, reason_code text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    r          trading.intent;
    v_all      trading.intent[] := array(select i from jsonb_populate_recordset(null::trading.intent, p_intents) as i);
    v_payloads jsonb[];
    v_entries  bytea[];
    v_entry    bytea;
    v_hashes   bytea[] := '{}';
    v_taken    text[];
    v_repeated text[];
    v_reserved numeric;
    v_before   numeric;
    v_seq      bigint;
    v_start    bigint;
    v_hash     bytea;
    v_prev     bytea;
    v_engaged  boolean;
    v_slices   boolean;
    v_parents  boolean;
    n          integer := 0;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    select c.reserved, h.seq, h.entry_hash into strict v_before, v_start, v_prev
    from trading.cash c cross join audit.chain_head h
    where c.account = p_account
    for no key update of c, h;
    -- after the lock and with a snapshot of its own: a kill that committed while this waited for the chain is seen
    v_engaged := exists (select from trading.kill_switches k where k.engaged);
    v_taken := array(
        select i.client_order_id from unnest(v_all) as i
        where case when i.schedule is null
            then exists (select from trading.orders o where o.client_order_id = i.client_order_id)
            else exists (select from trading.parent_orders p where p.parent_id = i.client_order_id) end);
    v_repeated := array(select i.client_order_id from unnest(v_all) as i group by i.client_order_id having count(*) > 1);

    select v_before + coalesce(sum(i.reserved_value), 0), bool_or(i.parent_id is not null), bool_or(i.schedule is not null)
    into v_reserved, v_slices, v_parents
    from unnest(v_all) as i where i.outcome = 'accepted';

    -- mostly nothing stands against any of them; else they are decided one after the other
    if v_engaged or v_slices or v_parents or v_taken <> '{}' or v_repeated <> '{}' or v_reserved > p_reserve_limit then
        v_reserved := v_before;
        foreach r in array v_all loop
            n := n + 1;
            continue when r.outcome <> 'accepted';
            if v_engaged and trading.is_killed(p_account, r.symbol, r.strategies) then
                r.reason_code := 'KILL_SWITCH';
            elsif r.reserved_value > 0 and v_reserved + r.reserved_value > p_reserve_limit then
                r.reason_code := 'BUYING_POWER';
                r.limit_value := p_reserve_limit;
                r.actual_value := v_reserved + r.reserved_value;
            elsif r.parent_id is not null and not trading.parent_has_room(p_account, r.parent_id, r.order_qty + coalesce((
                    select sum(a.order_qty) from unnest(v_all[:n - 1]) as a
                    where a.parent_id = r.parent_id and a.outcome = 'accepted'), 0)) then
                r.reason_code := 'PARENT_EXCEEDED';
            elsif r.client_order_id = any (v_taken) then
                r.reason_code := 'DUPLICATE_ORDER';
            else
                if r.client_order_id = any (v_repeated) then
                    v_taken := v_taken || r.client_order_id;
                end if;
                v_reserved := v_reserved + case when r.schedule is null then r.reserved_value else 0 end;
                continue;
            end if;
            r.outcome := 'denied';
            v_all[n] := r;
        end loop;
    end if;

    v_payloads := array(
        select value || jsonb_build_object('account', p_account, 'epoch', p_epoch)
            || case when outcome = value->>'outcome' then '{}' else jsonb_strip_nulls(jsonb_build_object(
                'outcome', outcome, 'reason_code', reason_code, 'limit_value', limit_value, 'actual_value', actual_value)) end
        from rows from (jsonb_array_elements(p_intents), unnest(v_all)));
    v_entries := array(
        select audit.entry_bytes(v_start + place, 'intent'::text, payload, p_at)
        from unnest(v_payloads) with ordinality as entries (payload, place) order by place);
    v_hash := v_prev;
    foreach v_entry in array v_entries loop
        v_hash := sha256(v_hash || v_entry);
        v_hashes := v_hashes || v_hash;
    end loop;
    v_seq := v_start + cardinality(v_entries);

    insert into trading.parent_orders (parent_id, account, batch_id, symbol, side, order_qty, reference_price, leg,
        strategies, schedule, start_at, end_at, status, created_at, updated_at)
    select i.client_order_id, p_account, i.batch_id, i.symbol, i.side, i.order_qty, i.reference_price, i.leg,
        i.strategies, i.schedule, i.start_at, i.end_at, 'working', p_at, p_at
    from unnest(v_all) as i where i.outcome = 'accepted' and i.schedule is not null;

    insert into trading.orders (client_order_id, account, batch_id, symbol, side, order_type, time_in_force,
        order_qty, reference_price, ord_status, reserved_value, leg, created_at, updated_at,
        limit_price, stop_price, trail_offset, limit_offset, post_only, reduce_only,
        group_id, after_id, release, is_oco, parent_id, strategies, valid_until)
    select i.client_order_id, p_account, i.batch_id, i.symbol, i.side, i.order_type, i.time_in_force,
        i.order_qty, i.reference_price, case when i.after_id is null then 'pending_new' else 'held' end, i.reserved_value, i.leg, p_at, p_at,
        i.limit_price, i.stop_price, i.trail_offset, i.limit_offset, coalesce(i.post_only, false), coalesce(i.reduce_only, false),
        i.group_id, i.after_id, i.release, coalesce(i.is_oco, false), i.parent_id, coalesce(i.strategies, '{}'),
        coalesce(i.valid_until, (select b.valid_until from signals.target_batches b where b.batch_id = i.batch_id))
    from unnest(v_all) as i where i.outcome = 'accepted' and i.schedule is null;

    insert into trading.order_events (client_order_id, account, kind, ord_status, epoch, event_at)
    select i.client_order_id, p_account, 'intent', case when i.after_id is null then 'pending_new' else 'held' end, p_epoch, p_at
    from unnest(v_all) as i where i.outcome = 'accepted' and i.schedule is null;

    insert into trading.risk_decisions (client_order_id, account, batch_id, symbol, side, order_qty, reference_price,
        outcome, reason_code, limit_value, actual_value, detail, epoch, decided_at)
    select i.client_order_id, p_account, i.batch_id, i.symbol, i.side, i.order_qty, i.reference_price,
        i.outcome, i.reason_code, i.limit_value, i.actual_value, coalesce(i.detail, '{}'), p_epoch, p_at
    from unnest(v_all) as i;

    insert into audit.chain (seq, kind, payload, prev_hash, entry_hash, event_at)
    select v_start + place, 'intent', payload, coalesce(lag(hash) over (order by place), v_prev), hash, p_at
    from unnest(v_payloads, v_hashes) with ordinality as entries (payload, hash, place);
    update audit.chain_head set seq = v_seq, entry_hash = v_hash;

    if v_reserved > v_before then
        update trading.cash set reserved = v_reserved, updated_at = p_at
        where account = p_account and reserved = v_before and v_reserved <= p_reserve_limit;
        if not found then
            raise exception 'reservation of % for account % is not possible', v_reserved, p_account using errcode = 'BF002';
        end if;
    end if;
    return query select i.client_order_id, i.outcome, i.reason_code from unnest(v_all) as i;
end $$;
