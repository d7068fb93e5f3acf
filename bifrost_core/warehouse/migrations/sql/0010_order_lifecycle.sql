-- Order terms, groups, parents, corrections and adjustments. The functions of 0002 are replaced under their names: what
-- they take is JSON, in which everything new may be missing, so that a daemon of the release before keeps working.

alter table trading.orders
    add column limit_price numeric(18, 6),
    add column stop_price numeric(18, 6),
    add column trail_offset numeric(18, 6),
    add column limit_offset numeric(18, 6),
    add column post_only boolean not null default false,
    add column reduce_only boolean not null default false,
    add column group_id text,
    add column after_id text,
    add column release text check (release in ('executed', 'filled', 'ended')),
    add column is_oco boolean not null default false,
    add column parent_id text,
    add column strategies text [] not null default '{}',
    add column valid_until timestamptz,
    add column released_qty numeric(20, 6),
    add check ((after_id is null) = (release is null)),
    add check (after_id is null or group_id is not null);
create index on trading.orders (account, group_id) where group_id is not null;
create index on trading.orders (parent_id) where parent_id is not null;
comment on column trading.orders.after_id is 'The order that this one waits for, held and unsent; release says what that one must have done.';
comment on column trading.orders.released_qty is 'Shares that a held order was sent for in the end; null until then.';
comment on column trading.orders.parent_id is 'The parent order that this one is a slice of.';
update trading.orders o set
    strategies = coalesce((select b.strategies from signals.target_batches b where b.batch_id = o.batch_id), '{}'),
    valid_until = coalesce((select b.valid_until from signals.target_batches b where b.batch_id = o.batch_id), o.created_at);

alter table trading.order_events add column exec_ref_id text, add column order_qty numeric(20, 6);
comment on column trading.order_events.exec_ref_id is 'The execution that a correction or a bust is about (FIX tag 19).';

alter table trading.fills add column corrects_exec_id text;
create unique index on trading.fills (broker, corrects_exec_id) where corrects_exec_id is not null;
comment on table trading.fills is 'One row per execution report with a quantity; unique on broker and execution id, so a replayed report changes nothing. A bust or correction adds the opposite trade with corrects_exec_id, so that sums over fills are always right.';

create view trading.standing_fills as
select f.*
from trading.fills f
where f.corrects_exec_id is null
    and not exists (
        select from trading.fills c where c.broker = f.broker and c.corrects_exec_id = f.exec_id
    );
comment on view trading.standing_fills is 'Executions that stand: neither busted nor corrected since.';
grant select on trading.standing_fills to bifrost_trader, bifrost_reader, bifrost_pipeline, bifrost_api;

create table trading.parent_orders (
    parent_id       text primary key,
    account         text not null,
    batch_id        uuid not null,
    symbol          text not null,
    side            text not null check (side in ('buy', 'sell')),
    order_qty       numeric(20, 6) not null check (order_qty > 0),
    reference_price numeric(18, 6) not null,
    leg             text not null check (leg in ('close', 'open')),
    strategies      text [] not null,
    schedule        jsonb not null,
    start_at        timestamptz not null,
    end_at          timestamptz not null,
    status          text not null check (status in ('working', 'ended')),
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    check (start_at < end_at)
);
create index on trading.parent_orders (account) where status = 'working';
comment on table trading.parent_orders is 'Orders worked in slices over time (TWAP, VWAP, POV, implementation shortfall); the slices are rows of trading.orders.';

create table trading.adjustments (
    broker        text not null,
    adjustment_id text not null,
    account       text not null references trading.accounts,
    kind          text not null,
    symbol        text,
    qty_change    numeric(20, 6) not null,
    cash_change   numeric(20, 6) not null,
    text          text,
    epoch         bigint not null,
    event_at      timestamptz not null,
    recorded_at   timestamptz not null default now(),
    primary key (broker, adjustment_id)
);
comment on table trading.adjustments is 'Entries of the broker''s ledger that changed holdings without a trade: splits, dividends, fees, interest, transfers.';
create trigger append_only before update or delete on trading.adjustments
for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.adjustments
for each statement execute function raw.refuse_change();
grant select on trading.parent_orders, trading.adjustments to bifrost_trader, bifrost_reader, bifrost_pipeline, bifrost_api;

--------------------------------------------------------------------------------------------------------- intents

create function trading.parent_has_room(p_account text, p_parent_id text, p_qty numeric)
returns boolean language sql stable as $$
    select coalesce((
        select p.status = 'working' and p_qty <= p.order_qty - coalesce((
            select sum(case when o.ord_status in ('filled', 'canceled', 'rejected', 'expired') then o.cum_qty else o.order_qty end)
            from trading.orders o where o.parent_id = p_parent_id), 0)
        from trading.parent_orders p where p.parent_id = p_parent_id and p.account = p_account), false)
$$;
comment on function trading.parent_has_room is 'Whether another slice keeps what all slices executed or may still execute within the parent''s quantity.';

create or replace function trading.submit_intents_v1(
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
    v_status   text;
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
            outcome text, reason_code text, limit_value numeric, actual_value numeric, detail jsonb,
            limit_price numeric, stop_price numeric, trail_offset numeric, limit_offset numeric, post_only boolean,
            reduce_only boolean, group_id text, after_id text, release text, is_oco boolean, parent_id text,
            valid_until timestamptz, schedule jsonb, start_at timestamptz, end_at timestamptz)
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
            elsif r.parent_id is not null and not trading.parent_has_room(p_account, r.parent_id, r.order_qty) then
                r.outcome := 'denied';
                r.reason_code := 'PARENT_EXCEEDED';
            elsif r.schedule is not null then
                insert into trading.parent_orders (parent_id, account, batch_id, symbol, side, order_qty, reference_price, leg,
                    strategies, schedule, start_at, end_at, status, created_at, updated_at)
                values (r.client_order_id, p_account, r.batch_id, r.symbol, r.side, r.order_qty, r.reference_price, r.leg,
                    r.strategies, r.schedule, r.start_at, r.end_at, 'working', p_at, p_at)
                on conflict (parent_id) do nothing;
                if not found then
                    r.outcome := 'denied';
                    r.reason_code := 'DUPLICATE_ORDER';
                end if;
            else
                v_status := case when r.after_id is null then 'pending_new' else 'held' end;
                insert into trading.orders (client_order_id, account, batch_id, symbol, side, order_type, time_in_force,
                    order_qty, reference_price, ord_status, reserved_value, leg, created_at, updated_at,
                    limit_price, stop_price, trail_offset, limit_offset, post_only, reduce_only,
                    group_id, after_id, release, is_oco, parent_id, strategies, valid_until)
                values (r.client_order_id, p_account, r.batch_id, r.symbol, r.side, r.order_type, r.time_in_force,
                    r.order_qty, r.reference_price, v_status, r.reserved_value, r.leg, p_at, p_at,
                    r.limit_price, r.stop_price, r.trail_offset, r.limit_offset, coalesce(r.post_only, false), coalesce(r.reduce_only, false),
                    r.group_id, r.after_id, r.release, coalesce(r.is_oco, false), r.parent_id, coalesce(r.strategies, '{}'),
                    coalesce(r.valid_until, (select b.valid_until from signals.target_batches b where b.batch_id = r.batch_id)))
                on conflict (client_order_id) do nothing;
                if found then
                    insert into trading.order_events (client_order_id, account, kind, ord_status, epoch, event_at)
                    values (r.client_order_id, p_account, 'intent', v_status, p_epoch, p_at);
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
        v_payload := jsonb_strip_nulls(to_jsonb(r)) || jsonb_build_object('account', p_account, 'epoch', p_epoch);
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

create function trading.end_parent_v1(
    p_account text, p_holder text, p_epoch bigint, p_parent_id text, p_text text, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    update trading.parent_orders set status = 'ended', updated_at = p_at
    where parent_id = p_parent_id and account = p_account and status = 'working';
    if not found then
        return false;
    end if;
    perform audit.append('parent_ended'::text, jsonb_build_object('account', p_account, 'parent_id', p_parent_id, 'text', p_text), p_at);
    return true;
end $$;

---------------------------------------------------------------------------------------------------------- events

create function trading.move_position(
    p_account text, p_symbol text, p_before numeric, p_quantity numeric, p_avg_cost numeric, p_realized_pnl numeric, p_at timestamptz)
returns void language plpgsql as $$
begin
    insert into trading.positions as p (account, symbol, quantity, avg_cost, realized_pnl, updated_at)
    values (p_account, p_symbol, p_quantity, p_avg_cost, p_realized_pnl, p_at)
    on conflict (account, symbol) do update
    set quantity = excluded.quantity, avg_cost = excluded.avg_cost, realized_pnl = excluded.realized_pnl, updated_at = excluded.updated_at
    where p.quantity = p_before;
    if not found then
        raise exception 'position of % in % is not the % that the daemon holds', p_account, p_symbol, p_before using errcode = 'BF002';
    end if;
end $$;

create or replace function trading.record_event_v1(
    p_account text, p_holder text, p_epoch bigint, p_broker text, p_exchange_mic text, p_event jsonb)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    e       record;
    v_order trading.orders;
    v_seq   bigint;
    v_block jsonb;
    v_fills integer;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    select * into strict e from jsonb_to_record(p_event) as x (
        client_order_id text, kind text, ord_status text, exec_id text, last_qty numeric, last_px numeric,
        commission numeric, broker_order_id text, text text, event_at timestamptz, cum_qty numeric, avg_px numeric,
        reserved_value numeric, cash_effect numeric, quantity_before numeric, quantity numeric, avg_cost numeric,
        realized_pnl numeric, blocks jsonb, unblocks jsonb, exec_ref_id text, order_qty numeric, cum_qty_before numeric,
        fills jsonb);
    select * into strict v_order from trading.orders o where o.client_order_id = e.client_order_id for update;
    -- a daemon of the release before names neither its fills nor what it held
    e.cum_qty_before := coalesce(e.cum_qty_before, e.cum_qty - e.last_qty);
    e.fills := coalesce(e.fills, case when e.last_qty > 0 then jsonb_build_array(jsonb_build_object(
        'exec_id', e.exec_id, 'side', v_order.side, 'last_qty', e.last_qty, 'last_px', e.last_px, 'commission', e.commission))
        else '[]'::jsonb end);
    v_fills := jsonb_array_length(e.fills);
    if v_fills > 0 and exists (
        select from jsonb_to_recordset(e.fills) as n (exec_id text) join trading.fills f on f.broker = p_broker and f.exec_id = n.exec_id
    ) then
        return null;
    end if;
    if v_order.cum_qty <> e.cum_qty_before then
        raise exception 'order % holds % filled, the daemon says it held %', e.client_order_id, v_order.cum_qty, e.cum_qty_before
            using errcode = 'BF002';
    end if;
    insert into trading.order_events (client_order_id, account, kind, ord_status, exec_id, last_qty, last_px, commission,
        broker_order_id, text, epoch, event_at, exec_ref_id, order_qty)
    values (e.client_order_id, p_account, e.kind, e.ord_status, nullif(e.exec_id, ''), e.last_qty, e.last_px, e.commission,
        nullif(e.broker_order_id, ''), nullif(e.text, ''), p_epoch, e.event_at, nullif(e.exec_ref_id, ''), e.order_qty)
    returning event_seq into v_seq;
    update trading.orders
    set ord_status = e.ord_status, cum_qty = e.cum_qty, avg_px = e.avg_px, reserved_value = e.reserved_value,
        broker_order_id = coalesce(broker_order_id, nullif(e.broker_order_id, '')), updated_at = e.event_at,
        released_qty = coalesce(e.order_qty, released_qty)
    where client_order_id = e.client_order_id;
    if e.cash_effect <> 0 or e.reserved_value <> v_order.reserved_value then
        update trading.cash
        set balance = balance + e.cash_effect, reserved = reserved + e.reserved_value - v_order.reserved_value, updated_at = e.event_at
        where account = p_account;
    end if;
    if v_fills > 0 then
        insert into trading.fills (event_seq, broker, exec_id, client_order_id, account, symbol, side, last_qty, last_px,
            commission, session, event_at, corrects_exec_id)
        select v_seq, p_broker, n.exec_id, e.client_order_id, p_account, v_order.symbol, n.side, n.last_qty, n.last_px,
            n.commission, trading.session_at(p_exchange_mic, e.event_at), e.event_at, n.corrects_exec_id
        from rows from (jsonb_to_recordset(e.fills) as (
            exec_id text, side text, last_qty numeric, last_px numeric, commission numeric, corrects_exec_id text)) with ordinality as n
        order by n.ordinality;
        perform trading.move_position(p_account, v_order.symbol, e.quantity_before, e.quantity, e.avg_cost, e.realized_pnl, e.event_at);
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

alter table trading.fills drop constraint fills_event_seq_key;  -- a correction takes one back and adds one

create function trading.record_adjustment_v1(
    p_account text, p_holder text, p_epoch bigint, p_broker text, p_adjustment jsonb)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    a record;
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    select * into strict a from jsonb_to_record(p_adjustment) as x (
        adjustment_id text, kind text, symbol text, qty_change numeric, cash_change numeric, text text, event_at timestamptz,
        quantity_before numeric, quantity numeric, avg_cost numeric, realized_pnl numeric);
    insert into trading.adjustments (broker, adjustment_id, account, kind, symbol, qty_change, cash_change, text, epoch, event_at)
    values (p_broker, a.adjustment_id, p_account, a.kind, nullif(a.symbol, ''), a.qty_change, a.cash_change, nullif(a.text, ''), p_epoch, a.event_at)
    on conflict (broker, adjustment_id) do nothing;
    if not found then
        return false;
    end if;
    if a.cash_change <> 0 then
        update trading.cash set balance = balance + a.cash_change, updated_at = a.event_at where account = p_account;
    end if;
    if a.qty_change <> 0 then
        perform trading.move_position(p_account, a.symbol, a.quantity_before, a.quantity, a.avg_cost, a.realized_pnl, a.event_at);
    end if;
    perform audit.append('adjustment'::text, p_adjustment || jsonb_build_object('account', p_account, 'broker', p_broker, 'epoch', p_epoch), a.event_at);
    return true;
end $$;
comment on function trading.record_adjustment_v1 is 'One entry of the broker''s ledger that is no trade, with the position and cash that follow. False, and no change, where it is recorded already.';

--------------------------------------------------------------------------------------------------------- batches

alter table trading.batch_intake drop constraint batch_intake_status_check;
alter table trading.batch_intake add constraint batch_intake_status_check
check (status in ('accepted', 'worked', 'quarantined', 'released'));
comment on table trading.batch_intake is 'What the daemon did with a batch: accepted (orders are being planned), worked (all planned orders decided), quarantined with the reason (nothing is traded from it), or released (a person said that it is to be decided again).';

create or replace function trading.decide_batch_v1(
    p_account text, p_holder text, p_epoch bigint, p_batch_id uuid, p_status text, p_reason_code text, p_detail text, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    insert into trading.batch_intake as b (batch_id, account, status, reason_code, detail, decided_at)
    values (p_batch_id, p_account, p_status, p_reason_code, p_detail, p_at)
    on conflict (batch_id) do update
    set status = excluded.status, reason_code = excluded.reason_code, detail = excluded.detail,
        decided_at = excluded.decided_at, recorded_at = now()
    where (b.status = 'accepted' and excluded.status <> 'accepted') or b.status = 'released';
    if not found then
        return false;
    end if;
    perform audit.append('batch'::text, jsonb_build_object(
        'account', p_account, 'batch_id', p_batch_id, 'status', p_status, 'reason_code', p_reason_code, 'detail', p_detail), p_at);
    return true;
end $$;

create function trading.release_batch_v1(
    p_account text, p_holder text, p_epoch bigint, p_batch_id uuid, p_reason text, p_actor text, p_at timestamptz)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    update trading.batch_intake set status = 'released', decided_at = p_at, recorded_at = now()
    where batch_id = p_batch_id and account = p_account and status = 'quarantined';
    if not found then
        return false;
    end if;
    perform audit.append('batch_released'::text, jsonb_build_object(
        'account', p_account, 'batch_id', p_batch_id, 'reason', p_reason, 'actor', p_actor), p_at);
    return true;
end $$;
comment on function trading.release_batch_v1 is 'A person has looked at a quarantined batch: it is decided again, and what it was refused for as doubtful no longer counts.';

---------------------------------------------------------------------------------------------------------- rights

revoke all on function trading.parent_has_room, trading.end_parent_v1, trading.move_position, trading.record_adjustment_v1,
trading.release_batch_v1 from public;
grant execute on function
trading.end_parent_v1, trading.record_adjustment_v1, trading.release_batch_v1
to bifrost_trader;
grant select on raw.minute_bars to bifrost_trader;
