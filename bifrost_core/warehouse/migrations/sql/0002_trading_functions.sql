-- The daemon's writes. bifrost_trader may execute these functions and has no other way to change trading.* or audit.*.
-- Each runs as its owner with a pinned search_path, checks the lease first, and appends to the audit chain in the
-- caller's transaction. Helpers that nobody but them may execute run as whoever calls: as their owner, in their path. Names end in their version: a changed signature is a new function, so that a daemon of the
-- release before keeps working while it is replaced.
-- SQLSTATE BF001: the lease is lost. BF002: a projection differs from what the daemon holds.

alter table trading.orders add column leg text not null default 'open' check (leg in ('close', 'open'));
comment on column trading.orders.leg is 'Whether the order brings the position nearer to zero (close, reserves nothing) or away from it (open).';

---------------------------------------------------------------------------------------------------- audit chain

create function audit.entry_hash(p_prev bytea, p_seq bigint, p_kind text, p_payload jsonb, p_event_at timestamptz)
returns bytea language sql immutable parallel safe
return sha256(p_prev || convert_to(
    p_seq::text || '|' || p_kind || '|' || (extract(epoch from p_event_at) * 1000000)::bigint::text || '|' || p_payload::text,
    'UTF8'));
comment on function audit.entry_hash is 'sha256(previous hash || seq|kind|event_at in microseconds since 1970|payload as jsonb prints it).';

create function audit.append(p_kind text, p_payload jsonb, p_event_at timestamptz)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_seq  bigint;
    v_prev bytea;
    v_hash bytea;
begin
    select h.seq + 1, h.entry_hash into strict v_seq, v_prev from audit.chain_head h for no key update;
    v_hash := audit.entry_hash(v_prev, v_seq, p_kind, p_payload, p_event_at);
    insert into audit.chain (seq, kind, payload, prev_hash, entry_hash, event_at)
    values (v_seq, p_kind, p_payload, v_prev, v_hash, p_event_at);
    update audit.chain_head set seq = v_seq, entry_hash = v_hash;
    return v_seq;
end $$;
comment on function audit.append is 'Adds one entry; the head row''s lock makes concurrent writers take turns.';

create function audit.verify()
returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with walked as (
        select c.seq,
               row_number() over w as expected_seq,
               c.prev_hash = coalesce(lag(c.entry_hash) over w, sha256('bifrost'::bytea))
                   and c.entry_hash = audit.entry_hash(c.prev_hash, c.seq, c.kind, c.payload, c.event_at) as is_whole
        from audit.chain c
        window w as (order by c.seq)
    ), last as (
        select coalesce(max(c.seq), 0) as seq from audit.chain c
    )
    select min(broken.seq)
    from (
        select least(seq, expected_seq) as seq from walked where not is_whole or seq <> expected_seq
        union all
        select least(h.seq, l.seq) + 1 from audit.chain_head h, last l where h.seq <> l.seq
        union all
        select h.seq from audit.chain_head h join audit.chain c using (seq) where h.entry_hash <> c.entry_hash
        union all
        select 0 where not exists (select from audit.chain_head)
    ) broken
$$;
comment on function audit.verify is 'Recomputes the whole chain: the first sequence number that was changed, taken out or put in, or null.';

create function audit.record_limit()
returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform audit.append('limit'::text, to_jsonb(new), new.effective_at);
    return new;
end $$;
create trigger audited after insert on trading.limits for each row execute function audit.record_limit();

create trigger append_only_truncate before truncate on trading.limits
    for each statement execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.risk_decisions
    for each statement execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.fills
    for each statement execute function raw.refuse_change();
create trigger append_only before update or delete on trading.limits
    for each row execute function raw.refuse_change();
create trigger append_only before update or delete on trading.risk_decisions
    for each row execute function raw.refuse_change();
create trigger append_only before update or delete on trading.fills
    for each row execute function raw.refuse_change();

----------------------------------------------------------------------------------------------------------- lease

create function trading.require_lease(p_account text, p_holder text, p_epoch bigint)
returns void language plpgsql as $$
begin
    perform from trading.leases l
    where l.name = p_account and l.holder = p_holder and l.epoch = p_epoch for share;
    if not found then
        raise exception 'the lease of account % is no longer held by % (epoch %)', p_account, p_holder, p_epoch
            using errcode = 'BF001', hint = 'Another daemon leads; this one must stop.';
    end if;
end $$;

create function trading.acquire_lease_v1(p_account text, p_holder text, p_seconds double precision)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_lease trading.leases;
    v_gone  boolean;
begin
    -- A leader keeps this lock on its session; it is free as soon as the leader's connection is gone, long before expiry.
    v_gone := pg_try_advisory_lock(hashtextextended('bifrost lease ' || p_account, 0));
    insert into trading.leases (name, holder, epoch, expires_at) values (p_account, '', 0, '-infinity')
    on conflict (name) do nothing;
    select * into strict v_lease from trading.leases where name = p_account for update;
    if v_lease.holder <> p_holder and not v_gone and v_lease.expires_at > clock_timestamp() then
        return null;
    end if;
    update trading.leases
    set holder = p_holder, epoch = v_lease.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => p_seconds)
    where name = p_account;
    perform audit.append('lease'::text, jsonb_build_object('account', p_account, 'holder', p_holder, 'epoch', v_lease.epoch + 1),
                         clock_timestamp());
    return v_lease.epoch + 1;
end $$;
comment on function trading.acquire_lease_v1 is 'The new epoch, or null while another live holder leads. Each take-over has a higher epoch.';

create function trading.renew_lease_v1(p_account text, p_holder text, p_epoch bigint, p_seconds double precision)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update trading.leases set expires_at = clock_timestamp() + make_interval(secs => p_seconds)
    where name = p_account and holder = p_holder and epoch = p_epoch;
    return found;
end $$;

create function trading.release_lease_v1(p_account text, p_holder text, p_epoch bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update trading.leases set expires_at = clock_timestamp()
    where name = p_account and holder = p_holder and epoch = p_epoch;
    return found;
end $$;

--------------------------------------------------------------------------------------------------------- account

create function trading.open_account_v1(
    p_account text, p_holder text, p_epoch bigint, p_broker text, p_initial_cash numeric, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    insert into trading.accounts (account, broker, initial_cash, created_at) values (p_account, p_broker, p_initial_cash, p_at)
    on conflict (account) do nothing;
    if not found then
        return false;
    end if;
    insert into trading.cash (account, balance, updated_at) values (p_account, p_initial_cash, p_at);
    perform audit.append('account'::text, jsonb_build_object('account', p_account, 'broker', p_broker, 'initial_cash', p_initial_cash), p_at);
    return true;
end $$;

create function trading.set_kill_switch_v1(
    p_scope text, p_key text, p_engaged boolean, p_reason text, p_actor text, p_at timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into trading.kill_switches as k (scope, key, engaged, reason, actor, changed_at)
    values (p_scope, case when p_scope = 'global' then '*' else p_key end, p_engaged, p_reason, p_actor, p_at)
    on conflict (scope, key) do update
    set engaged = excluded.engaged, reason = excluded.reason, actor = excluded.actor, changed_at = excluded.changed_at;
    perform audit.append('kill_switch'::text, jsonb_build_object(
        'scope', p_scope, 'key', p_key, 'engaged', p_engaged, 'reason', p_reason, 'actor', p_actor), p_at);
end $$;
comment on function trading.set_kill_switch_v1 is 'Needs no lease: stopping must always be possible.';

create function trading.is_killed(p_account text, p_symbol text, p_strategies text[])
returns boolean language sql stable as $$
    select exists (
        select from trading.kill_switches k
        where k.engaged and (
            k.scope = 'global'
            or (k.scope = 'account' and k.key = p_account)
            or (k.scope = 'symbol' and k.key = p_symbol)
            or (k.scope = 'strategy' and k.key = any (p_strategies))))
$$;

create function trading.decide_batch_v1(
    p_account text, p_holder text, p_epoch bigint, p_batch_id uuid, p_status text, p_reason_code text, p_detail text, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    insert into trading.batch_intake as b (batch_id, account, status, reason_code, detail, decided_at)
    values (p_batch_id, p_account, p_status, p_reason_code, p_detail, p_at)
    on conflict (batch_id) do update
    set status = excluded.status, reason_code = excluded.reason_code, detail = excluded.detail,
        decided_at = excluded.decided_at, recorded_at = now()
    where b.status = 'accepted' and excluded.status <> 'accepted';
    if not found then
        return false;
    end if;
    perform audit.append('batch'::text, jsonb_build_object(
        'account', p_account, 'batch_id', p_batch_id, 'status', p_status, 'reason_code', p_reason_code, 'detail', p_detail), p_at);
    return true;
end $$;
comment on function trading.decide_batch_v1 is 'accepted, then worked or quarantined; a final decision is never changed. False where nothing changed.';

--------------------------------------------------------------------------------------------------------- intents

create function trading.submit_intents_v1(
    p_account text, p_holder text, p_epoch bigint, p_at timestamptz, p_reserve_limit numeric, p_intents jsonb)
returns table (client_order_id text, outcome text, reason_code text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    r          record;
    v_reserved numeric;
    v_before   numeric;
    v_seq      bigint;
    v_hash     bytea;
    v_prev     bytea;
    v_payload  jsonb;
    v_engaged  boolean;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    select c.reserved, h.seq, h.entry_hash into strict v_reserved, v_seq, v_hash
    from trading.cash c cross join audit.chain_head h
    where c.account = p_account
    for no key update of c, h;
    -- after the lock and with a snapshot of its own: a kill that committed while this waited for the chain is seen
    v_engaged := exists (select from trading.kill_switches k where k.engaged);
    v_before := v_reserved;
    for r in
        select i.*, v_engaged and trading.is_killed(p_account, i.symbol, i.strategies) as is_killed
        from jsonb_to_recordset(p_intents) as i (
            client_order_id text, batch_id uuid, strategies text[], symbol text, side text, order_type text,
            time_in_force text, order_qty numeric, reference_price numeric, leg text, reserved_value numeric,
            outcome text, reason_code text, limit_value numeric, actual_value numeric, detail jsonb)
    loop
        if r.outcome = 'accepted' then
            if r.is_killed then
                r.outcome := 'denied';
                r.reason_code := 'KILL_SWITCH';
            elsif r.reserved_value > 0 and v_reserved + r.reserved_value > p_reserve_limit then
                r.outcome := 'denied';
                r.reason_code := 'MAX_GROSS';
                r.limit_value := p_reserve_limit;
                r.actual_value := v_reserved + r.reserved_value;
            else
                insert into trading.orders (client_order_id, account, batch_id, symbol, side, order_type, time_in_force,
                    order_qty, reference_price, ord_status, reserved_value, leg, created_at, updated_at)
                values (r.client_order_id, p_account, r.batch_id, r.symbol, r.side, r.order_type, r.time_in_force,
                    r.order_qty, r.reference_price, 'pending_new', r.reserved_value, r.leg, p_at, p_at)
                on conflict (client_order_id) do nothing;
                if found then
                    insert into trading.order_events (client_order_id, account, kind, ord_status, epoch, event_at)
                    values (r.client_order_id, p_account, 'intent', 'pending_new', p_epoch, p_at);
                    v_reserved := v_reserved + r.reserved_value;
                else
                    r.outcome := 'denied';
                    r.reason_code := 'DUPLICATE_ORDER';
                end if;
            end if;
        end if;
        insert into trading.risk_decisions (client_order_id, account, batch_id, symbol, side, order_qty, reference_price,
            outcome, reason_code, limit_value, actual_value, detail, epoch, decided_at)
        values (r.client_order_id, p_account, r.batch_id, r.symbol, r.side, r.order_qty, r.reference_price,
            r.outcome, r.reason_code, r.limit_value, r.actual_value, coalesce(r.detail, '{}'), p_epoch, p_at);
        v_payload := to_jsonb(r) || jsonb_build_object('account', p_account, 'epoch', p_epoch);
        v_seq := v_seq + 1;
        v_prev := v_hash;
        v_hash := audit.entry_hash(v_prev, v_seq, 'intent'::text, v_payload, p_at);
        insert into audit.chain (seq, kind, payload, prev_hash, entry_hash, event_at)
        values (v_seq, 'intent', v_payload, v_prev, v_hash, p_at);
        client_order_id := r.client_order_id;
        outcome := r.outcome;
        reason_code := r.reason_code;
        return next;
    end loop;
    update audit.chain_head set seq = v_seq, entry_hash = v_hash;
    if v_reserved > v_before then
        update trading.cash set reserved = v_reserved, updated_at = p_at
        where account = p_account and reserved = v_before and v_reserved <= p_reserve_limit;
        if not found then
            raise exception 'reservation of % for account % is not possible', v_reserved, p_account using errcode = 'BF002';
        end if;
    end if;
end $$;
comment on function trading.submit_intents_v1 is 'Orders become durable before they are sent: lease, kill switch, duplicate and reservation are checked, and order, event, risk decision and audit entry written, in one transaction. A denial is written too. reserve_limit is the USD of exposure that working orders may add in all.';

---------------------------------------------------------------------------------------------------------- events

create function trading.session_at(p_exchange_mic text, p_at timestamptz)
returns date language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(
        (select s.session from reference.sessions s
         where s.exchange_mic = p_exchange_mic and s.close_at >= p_at - interval '4 hours' order by s.close_at limit 1),
        (p_at at time zone 'UTC')::date)
$$;
comment on function trading.session_at is 'The session an execution belongs to; up to four hours after a close still to that session.';

create function trading.block_symbol(p_account text, p_symbol text, p_reason_code text, p_detail text, p_at timestamptz)
returns void language plpgsql as $$
begin
    insert into trading.blocked_symbols as b (account, symbol, reason_code, detail, blocked_at)
    values (p_account, p_symbol, p_reason_code, p_detail, p_at)
    on conflict (account, symbol) do update
    set reason_code = excluded.reason_code, detail = excluded.detail, blocked_at = excluded.blocked_at
    where b.reason_code in ('SEND_UNPROVEN', 'RECONCILIATION_BREAK') and excluded.reason_code <> b.reason_code
        and excluded.reason_code <> 'SEND_UNPROVEN';
    if found then
        perform audit.append('block'::text, jsonb_build_object(
            'account', p_account, 'symbol', p_symbol, 'reason_code', p_reason_code, 'detail', p_detail), p_at);
    end if;
end $$;
comment on function trading.block_symbol is 'One cause per symbol; a cause that clears itself gives way to one that does not.';

create function trading.unblock_symbol(p_account text, p_symbol text, p_reason_code text, p_actor text, p_at timestamptz)
returns boolean language plpgsql as $$
begin
    delete from trading.blocked_symbols b
    where b.account = p_account and b.symbol = p_symbol and b.reason_code = p_reason_code;
    if not found then
        return false;
    end if;
    perform audit.append('unblock'::text, jsonb_build_object(
        'account', p_account, 'symbol', p_symbol, 'reason_code', p_reason_code, 'actor', p_actor), p_at);
    return true;
end $$;

create function trading.block_symbol_v1(
    p_account text, p_holder text, p_epoch bigint, p_symbol text, p_reason_code text, p_detail text, p_at timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    perform trading.block_symbol(p_account, p_symbol, p_reason_code, p_detail, p_at);
end $$;

create function trading.unblock_symbol_v1(
    p_account text, p_holder text, p_epoch bigint, p_symbol text, p_reason_code text, p_actor text, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    return trading.unblock_symbol(p_account, p_symbol, p_reason_code, p_actor, p_at);
end $$;

create function trading.record_event_v1(
    p_account text, p_holder text, p_epoch bigint, p_broker text, p_exchange_mic text, p_event jsonb)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    e       record;
    v_order trading.orders;
    v_seq   bigint;
    v_block jsonb;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    select * into strict e from jsonb_to_record(p_event) as x (
        client_order_id text, kind text, ord_status text, exec_id text, last_qty numeric, last_px numeric,
        commission numeric, broker_order_id text, text text, event_at timestamptz, cum_qty numeric, avg_px numeric,
        reserved_value numeric, cash_effect numeric, quantity_before numeric, quantity numeric, avg_cost numeric,
        realized_pnl numeric, blocks jsonb, unblocks jsonb);
    select * into strict v_order from trading.orders o where o.client_order_id = e.client_order_id for update;
    if e.last_qty > 0 and exists (select from trading.fills f where f.broker = p_broker and f.exec_id = e.exec_id) then
        return null;
    end if;
    if v_order.cum_qty + e.last_qty <> e.cum_qty then
        raise exception 'order % holds % filled, the daemon says % after %', e.client_order_id, v_order.cum_qty, e.cum_qty, e.last_qty
            using errcode = 'BF002';
    end if;
    insert into trading.order_events (client_order_id, account, kind, ord_status, exec_id, last_qty, last_px, commission,
        broker_order_id, text, epoch, event_at)
    values (e.client_order_id, p_account, e.kind, e.ord_status, nullif(e.exec_id, ''), e.last_qty, e.last_px, e.commission,
        nullif(e.broker_order_id, ''), nullif(e.text, ''), p_epoch, e.event_at)
    returning event_seq into v_seq;
    update trading.orders
    set ord_status = e.ord_status, cum_qty = e.cum_qty, avg_px = e.avg_px, reserved_value = e.reserved_value,
        broker_order_id = coalesce(broker_order_id, nullif(e.broker_order_id, '')), updated_at = e.event_at
    where client_order_id = e.client_order_id;
    if e.cash_effect <> 0 or e.reserved_value <> v_order.reserved_value then
        update trading.cash
        set balance = balance + e.cash_effect, reserved = reserved + e.reserved_value - v_order.reserved_value, updated_at = e.event_at
        where account = p_account;
    end if;
    if e.last_qty > 0 then
        insert into trading.fills (event_seq, broker, exec_id, client_order_id, account, symbol, side, last_qty, last_px,
            commission, session, event_at)
        values (v_seq, p_broker, e.exec_id, e.client_order_id, p_account, v_order.symbol, v_order.side, e.last_qty, e.last_px,
            e.commission, trading.session_at(p_exchange_mic, e.event_at), e.event_at);
        insert into trading.positions as p (account, symbol, quantity, avg_cost, realized_pnl, updated_at)
        values (p_account, v_order.symbol, e.quantity, e.avg_cost, e.realized_pnl, e.event_at)
        on conflict (account, symbol) do update
        set quantity = excluded.quantity, avg_cost = excluded.avg_cost, realized_pnl = excluded.realized_pnl, updated_at = excluded.updated_at
        where p.quantity = e.quantity_before;
        if not found then
            raise exception 'position of % in % is not the % that the daemon holds', p_account, v_order.symbol, e.quantity_before
                using errcode = 'BF002';
        end if;
    end if;
    for v_block in select b from jsonb_array_elements(coalesce(e.blocks, '[]')) b loop
        perform trading.block_symbol(p_account, v_order.symbol, v_block ->> 'code', v_block ->> 'detail', e.event_at);
    end loop;
    for v_block in select b from jsonb_array_elements(coalesce(e.unblocks, '[]')) b loop
        perform trading.unblock_symbol(p_account, v_order.symbol, v_block ->> 'code', p_holder, e.event_at);
    end loop;
    perform audit.append('order_event'::text, p_event || jsonb_build_object('account', p_account, 'epoch', p_epoch, 'event_seq', v_seq), e.event_at);
    return v_seq;
end $$;
comment on function trading.record_event_v1 is 'One order event and everything that follows from it: order, fill, position, cash, reservation, blocks, audit. Null, and no change, where the execution is already recorded.';

create function trading.record_reconciliation_v1(
    p_account text, p_holder text, p_epoch bigint, p_breaks jsonb, p_orders_checked integer, p_fills_checked integer, p_at timestamptz)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_id bigint;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    insert into trading.reconciliations (account, is_clean, breaks, orders_checked, fills_checked, epoch, event_at)
    values (p_account, p_breaks = '[]', p_breaks, p_orders_checked, p_fills_checked, p_epoch, p_at)
    returning reconciliation_id into v_id;
    perform audit.append('reconciliation'::text, jsonb_build_object('account', p_account, 'reconciliation_id', v_id, 'breaks', p_breaks), p_at);
    return v_id;
end $$;

create function trading.beat_v1(p_component text, p_holder text, p_state text, p_detail jsonb, p_market_time timestamptz)
returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into trading.heartbeats (component, holder, state, detail, market_time, beat_at)
    values (p_component, p_holder, p_state, p_detail, p_market_time, now())
    on conflict (component) do update
    set holder = excluded.holder, state = excluded.state, detail = excluded.detail,
        market_time = excluded.market_time, beat_at = excluded.beat_at
$$;

---------------------------------------------------------------------------------------------------------- rights

revoke all on all functions in schema trading, audit from public;
grant execute on function
    trading.acquire_lease_v1, trading.renew_lease_v1, trading.release_lease_v1, trading.open_account_v1,
    trading.set_kill_switch_v1, trading.decide_batch_v1, trading.submit_intents_v1,
    trading.record_event_v1, trading.block_symbol_v1, trading.unblock_symbol_v1, trading.record_reconciliation_v1,
    trading.beat_v1
    to bifrost_trader;
grant execute on function trading.session_at, audit.entry_hash, audit.verify
    to bifrost_trader, bifrost_pipeline, bifrost_reader, bifrost_api;

---------------------------------------------------------------------------------------------------------- limits

-- The defaults of bifrost_core/trading/limits.py, where the reasons are; a test holds the two together.
insert into trading.limits (account, code, version, value, unit, actor) values
    ('*', 'PRICE_STALE', 1, 432000, 'seconds', 'migration'),
    ('*', 'PRICE_COLLAR', 1, 1000, 'bps', 'migration'),
    ('*', 'MAX_ORDER_VALUE', 1, 500000, 'usd', 'migration'),
    ('*', 'MAX_POSITION', 1, 500000, 'usd', 'migration'),
    ('*', 'MAX_GROSS', 1, 2, 'equity_fraction', 'migration'),
    ('*', 'MAX_GROSS_JUMP', 1, 1.5, 'equity_fraction', 'migration'),
    ('*', 'MIN_TRADE_VALUE', 1, 100, 'usd', 'migration');
