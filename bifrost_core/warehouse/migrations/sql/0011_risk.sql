-- Limits that take two people, or a cool-off, to loosen; and what the risk controls read.
-- SQLSTATE BF003: refused, because it loosens what only trading.propose_change_v1 can loosen.
-- Times of governance are the server's own: the market's may stand still or leap in a replay.

-------------------------------------------------------------------------------------------------- what controls read

alter table reference.instruments add column sector text check (sector <> '');
comment on column reference.instruments.sector is 'Sector for the limit MAX_SECTOR; instruments without one count as one sector together.';

alter table reference.restricted_list
    add column blocks text not null default 'opening' check (blocks in ('opening', 'everything'));
comment on table reference.restricted_list is 'Instruments that must not be traded, by session; valid_to is exclusive, null is open. blocks: opening (positions may still be closed) or everything.';

create index on trading.orders (account, created_at);

create table trading.equity_marks (
    account      text not null references trading.accounts,
    session      date not null,
    first_equity numeric(20, 6) not null,
    high_equity  numeric(20, 6) not null,
    low_equity   numeric(20, 6) not null,
    last_equity  numeric(20, 6) not null,
    marks        integer not null default 1,
    marked_at    timestamptz not null,
    primary key (account, session)
);
comment on table trading.equity_marks is 'One row per account and trading day (from one close to the next): equity at its reconciliations, less what was transferred in since the account was opened. What the limits on daily loss and drawdown are held against.';

create function trading.trading_day(p_exchange_mic text, p_at timestamptz)
returns date language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(
        (select s.session from reference.sessions s
         where s.exchange_mic = p_exchange_mic and s.close_at > p_at order by s.close_at limit 1),
        (p_at at time zone 'UTC')::date)
$$;
comment on function trading.trading_day is 'The session that is on or comes next: from a close on, orders are for the session after it.';

create function trading.transfers(p_account text)
returns numeric language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum(a.cash_change), 0) from trading.adjustments a where a.account = p_account and a.kind = 'transfer'
$$;
comment on function trading.transfers is 'Cash paid into the account less what was taken out: neither is a gain or a loss.';

create function trading.record_equity_v1(
    p_account text, p_holder text, p_epoch bigint, p_exchange_mic text, p_equity numeric, p_at timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_equity numeric := p_equity - trading.transfers(p_account);
begin
    perform trading.require_lease(p_account, p_holder, p_epoch);
    insert into trading.equity_marks as m
        (account, session, first_equity, high_equity, low_equity, last_equity, marked_at)
    values (p_account, trading.trading_day(p_exchange_mic, p_at), v_equity, v_equity, v_equity, v_equity, p_at)
    on conflict (account, session) do update
    set high_equity = greatest(m.high_equity, excluded.high_equity), low_equity = least(m.low_equity, excluded.low_equity),
        last_equity = excluded.last_equity, marks = m.marks + 1, marked_at = excluded.marked_at;
end $$;
comment on function trading.record_equity_v1 is 'Marks the account''s equity, cash and positions at last trades, at p_at of the market''s time.';

--------------------------------------------------------------------------------------------------------- limit rows

create table trading.limit_kinds (
    code          text primary key,
    unit          text not null,
    tighter_when  text not null check (tighter_when in ('lower', 'higher'))
);
comment on table trading.limit_kinds is 'Every limit that exists, its unit, and which way it becomes tighter.';
insert into trading.limit_kinds (code, unit, tighter_when) values
    ('PRICE_STALE', 'seconds', 'lower'),
    ('PRICE_JUMP', 'bps', 'lower'),
    ('PRICE_COLLAR', 'bps', 'lower'),
    ('QUOTE_COLLAR', 'bps', 'lower'),
    ('PERIOD_COLLAR', 'bps', 'lower'),
    ('MAX_ORDER_QTY', 'shares', 'lower'),
    ('MAX_ORDER_VALUE', 'usd', 'lower'),
    ('MAX_ADV', 'adv_fraction', 'lower'),
    ('MAX_POSITION', 'usd', 'lower'),
    ('MAX_GROSS', 'equity_fraction', 'lower'),
    ('MAX_NET', 'equity_fraction', 'lower'),
    ('MAX_LEVERAGE', 'equity_fraction', 'lower'),
    ('MAX_CONCENTRATION', 'equity_fraction', 'lower'),
    ('MAX_SECTOR', 'equity_fraction', 'lower'),
    ('BUYING_POWER', 'equity_fraction', 'lower'),
    ('DAILY_LOSS_REDUCE', 'equity_fraction', 'lower'),
    ('DAILY_LOSS_HALT', 'equity_fraction', 'lower'),
    ('DRAWDOWN_REDUCE', 'equity_fraction', 'lower'),
    ('DRAWDOWN_HALT', 'equity_fraction', 'lower'),
    ('MAX_DAILY_VALUE', 'usd', 'lower'),
    ('MAX_DAILY_ORDERS', 'orders', 'lower'),
    ('REPEATED_EXECUTIONS', 'orders_per_hour', 'lower'),
    ('SIMILAR_ORDER', 'seconds', 'higher'),
    ('SHORT_LOCATE', 'available_fraction', 'lower'),
    ('SHORT_SALE_PRICE', 'fall_fraction', 'lower'),
    ('SESSION_CLOSED', 'seconds', 'lower'),
    ('NOT_RECONCILED', 'seconds', 'lower'),
    ('CLOCK_SKEW', 'seconds', 'lower'),
    ('SIGNAL_STALE', 'days', 'lower'),
    ('MAX_GROSS_JUMP', 'equity_fraction', 'lower'),
    ('MAX_WEIGHT_JUMP', 'equity_fraction', 'lower'),
    ('MAX_TARGETS', 'targets', 'lower'),
    ('MIN_TRADE_VALUE', 'usd', 'higher'),
    ('MESSAGE_BACKLOG', 'messages', 'lower'),
    ('MESSAGE_RATE', 'messages_per_second', 'lower'),
    ('MESSAGE_BURST', 'messages', 'lower'),
    ('CANCEL_RESERVE', 'messages', 'higher');

alter table trading.limits
    add foreign key (code) references trading.limit_kinds,
    add check (value >= 0 and value < 'infinity');

-- The defaults of bifrost_core/trading/limits.py, where the reasons are; a test holds the two together.
insert into trading.limits (account, code, version, value, unit, actor) values
    ('*', 'PRICE_JUMP', 1, 2500, 'bps', 'migration'),
    ('*', 'QUOTE_COLLAR', 1, 500, 'bps', 'migration'),
    ('*', 'PERIOD_COLLAR', 1, 5000, 'bps', 'migration'),
    ('*', 'MAX_ORDER_QTY', 1, 100000, 'shares', 'migration'),
    ('*', 'MAX_ADV', 1, 0.05, 'adv_fraction', 'migration'),
    ('*', 'MAX_NET', 1, 2, 'equity_fraction', 'migration'),
    ('*', 'MAX_LEVERAGE', 1, 1.5, 'equity_fraction', 'migration'),
    ('*', 'MAX_CONCENTRATION', 1, 0.6, 'equity_fraction', 'migration'),
    ('*', 'MAX_SECTOR', 1, 2, 'equity_fraction', 'migration'),
    ('*', 'BUYING_POWER', 1, 2, 'equity_fraction', 'migration'),
    ('*', 'DAILY_LOSS_REDUCE', 1, 0.05, 'equity_fraction', 'migration'),
    ('*', 'DAILY_LOSS_HALT', 1, 0.1, 'equity_fraction', 'migration'),
    ('*', 'DRAWDOWN_REDUCE', 1, 0.2, 'equity_fraction', 'migration'),
    ('*', 'DRAWDOWN_HALT', 1, 0.3, 'equity_fraction', 'migration'),
    ('*', 'MAX_DAILY_VALUE', 1, 10000000, 'usd', 'migration'),
    ('*', 'MAX_DAILY_ORDERS', 1, 10000, 'orders', 'migration'),
    ('*', 'REPEATED_EXECUTIONS', 1, 20, 'orders_per_hour', 'migration'),
    ('*', 'SIMILAR_ORDER', 1, 10, 'seconds', 'migration'),
    ('*', 'SHORT_LOCATE', 1, 1, 'available_fraction', 'migration'),
    ('*', 'SHORT_SALE_PRICE', 1, 0.1, 'fall_fraction', 'migration'),
    ('*', 'SESSION_CLOSED', 1, 432000, 'seconds', 'migration'),
    ('*', 'NOT_RECONCILED', 1, 432000, 'seconds', 'migration'),
    ('*', 'CLOCK_SKEW', 1, 5, 'seconds', 'migration'),
    ('*', 'SIGNAL_STALE', 1, 5, 'days', 'migration'),
    ('*', 'MAX_WEIGHT_JUMP', 1, 1, 'equity_fraction', 'migration'),
    ('*', 'MAX_TARGETS', 1, 5000, 'targets', 'migration'),
    ('*', 'MESSAGE_BACKLOG', 1, 10000, 'messages', 'migration'),
    ('*', 'MESSAGE_RATE', 1, 100, 'messages_per_second', 'migration'),
    ('*', 'MESSAGE_BURST', 1, 1000, 'messages', 'migration'),
    ('*', 'CANCEL_RESERVE', 1, 100, 'messages', 'migration');

--------------------------------------------------------------------------------------------------------- governance

create table trading.governance (
    version          integer primary key,
    mode             text not null check (mode in ('two_person', 'cool_off')),
    cool_off_seconds integer not null check (cool_off_seconds >= 1),
    actor            text not null,
    effective_at     timestamptz not null default clock_timestamp()
);
comment on table trading.governance is 'How a limit is loosened or a kill switch released: by a second person (two_person), or also by the one who asked, after cool_off_seconds (cool_off). The highest version is in force. Append-only.';
insert into trading.governance (version, mode, cool_off_seconds, actor) values (1, 'cool_off', 60, 'migration');

create table trading.change_proposals (
    proposal_id    bigint generated always as identity primary key,
    kind           text not null check (kind in ('limit', 'kill_switch_release', 'governance')),
    payload        jsonb not null,
    diff           jsonb not null,
    diff_hash      text not null check (diff_hash ~ '^[0-9a-f]{64}$'),
    proposed_by    text not null,
    proposed_at    timestamptz not null,
    cool_off_until timestamptz not null,
    expires_at     timestamptz not null,
    applied_by     text,
    applied_at     timestamptz,
    applied_how    text check (applied_how in ('second person', 'cool-off')),
    check (num_nulls(applied_by, applied_at, applied_how) in (0, 3))
);
comment on table trading.change_proposals is 'What somebody wants to loosen: the exact difference between what is in force and what is wanted, and its hash. Whoever approves names the hash, so that nothing else is approved than what was read. A proposal that is not applied expires.';

create trigger append_only before update or delete on trading.governance
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.governance
    for each statement execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.change_proposals
    for each statement execute function raw.refuse_change();

create function trading.governance_in_force()
returns trading.governance language sql stable as $$
    select g from trading.governance g order by g.version desc limit 1
$$;

create function trading.limit_in_force(p_account text, p_code text)
returns trading.limits language sql stable as $$
    select l from trading.limits l
    where l.account in (p_account, '*') and l.code = p_code and l.effective_at <= now()
    order by l.account = '*', l.version desc limit 1
$$;
comment on function trading.limit_in_force is 'The account''s own row where it has one, else that of all accounts.';

create function trading.change_diff(p_kind text, p_payload jsonb)
returns jsonb language plpgsql as $$
declare
    v_old    jsonb;
    v_target jsonb;
    v_new    jsonb;
    l        trading.limits;
    g        trading.governance := trading.governance_in_force();
begin
    case p_kind
    when 'limit' then
        l := trading.limit_in_force(p_payload ->> 'account', p_payload ->> 'code');
        v_target := jsonb_build_object('account', p_payload ->> 'account', 'code', p_payload ->> 'code');
        v_old := jsonb_build_object('account', l.account, 'version', l.version, 'value', trim_scale(l.value)::text);
        v_new := jsonb_build_object('value', trim_scale((p_payload ->> 'value')::numeric)::text);
    when 'kill_switch_release' then
        select jsonb_build_object('engaged', k.engaged, 'reason', k.reason, 'actor', k.actor, 'changed_at', k.changed_at)
        into v_old from trading.kill_switches k
        where k.engaged and k.scope = p_payload ->> 'scope' and k.key = p_payload ->> 'key';
        v_target := jsonb_build_object('scope', p_payload ->> 'scope', 'key', p_payload ->> 'key');
        v_new := jsonb_build_object('engaged', false, 'reason', p_payload ->> 'reason');
    when 'governance' then
        v_target := '{}';
        v_old := jsonb_build_object('version', g.version, 'mode', g.mode, 'cool_off_seconds', g.cool_off_seconds);
        v_new := jsonb_build_object('mode', p_payload ->> 'mode', 'cool_off_seconds', (p_payload ->> 'cool_off_seconds')::integer);
    end case;
    return jsonb_build_object('kind', p_kind, 'target', v_target, 'old', v_old, 'new', v_new);
end $$;
comment on function trading.change_diff is 'What the change would change now: old is null where there is nothing to change.';

create function trading.change_loosens(p_diff jsonb)
returns boolean language plpgsql as $$
declare
    v_new numeric := (p_diff -> 'new' ->> 'value')::numeric;
    v_old numeric := (p_diff -> 'old' ->> 'value')::numeric;
begin
    case p_diff ->> 'kind'
    when 'limit' then
        return (select case k.tighter_when when 'lower' then v_new > v_old else v_new < v_old end
                from trading.limit_kinds k where k.code = p_diff -> 'target' ->> 'code');
    when 'governance' then
        return (p_diff -> 'new' ->> 'mode' = 'cool_off' and p_diff -> 'old' ->> 'mode' = 'two_person')
            or (p_diff -> 'new' ->> 'cool_off_seconds')::integer < (p_diff -> 'old' ->> 'cool_off_seconds')::integer;
    else
        return true;
    end case;
end $$;

create function trading.require_change(p_kind text, p_payload jsonb, p_actor text)
returns void language plpgsql as $$
declare
    v_fault text;
begin
    v_fault := case
        when coalesce(trim(p_actor), '') = '' then 'nobody is named as its actor'
        when p_kind not in ('limit', 'kill_switch_release', 'governance') then format('there is no change of kind %s', p_kind)
        when p_kind = 'limit' and coalesce(p_payload ->> 'account', '') = '' then 'it names no account (''*'': all)'
        when p_kind = 'limit' and not exists (
            select from trading.limit_kinds k where k.code = p_payload ->> 'code') then format('there is no limit %s', p_payload ->> 'code')
        when p_kind = 'limit' and not coalesce((p_payload ->> 'value')::numeric >= 0
            and (p_payload ->> 'value')::numeric < 'infinity', false) then 'a limit is a finite number, zero or more'
        when p_kind = 'kill_switch_release' and coalesce(trim(p_payload ->> 'reason'), '') = '' then 'it gives no reason'
        when p_kind = 'kill_switch_release' and not exists (
            select from trading.kill_switches k where k.engaged and k.scope = p_payload ->> 'scope' and k.key = p_payload ->> 'key')
            then format('no switch of %s %s is engaged', p_payload ->> 'scope', p_payload ->> 'key')
        when p_kind = 'governance' and not coalesce(p_payload ->> 'mode' in ('two_person', 'cool_off')
            and (p_payload ->> 'cool_off_seconds')::integer >= 1, false)
            then 'governance is two_person or cool_off, with cool_off_seconds of 1 or more'
    end;
    if v_fault is not null then
        raise exception 'this cannot be proposed: %', v_fault using errcode = 'invalid_parameter_value';
    end if;
end $$;

create function trading.make_change(p_diff jsonb, p_actor text, p_proposal_id bigint)
returns void language plpgsql as $$
declare
    v_target jsonb := p_diff -> 'target';
    v_new    jsonb := p_diff -> 'new';
begin
    case p_diff ->> 'kind'
    when 'limit' then
        insert into trading.limits (account, code, version, value, unit, actor)
        select v_target ->> 'account', k.code, coalesce(max(l.version), 0) + 1, (v_new ->> 'value')::numeric, k.unit, p_actor
        from trading.limit_kinds k left join trading.limits l on l.code = k.code and l.account = v_target ->> 'account'
        where k.code = v_target ->> 'code' group by k.code;
    when 'kill_switch_release' then
        update trading.kill_switches
        set engaged = false, reason = v_new ->> 'reason', actor = p_actor, changed_at = clock_timestamp()
        where scope = v_target ->> 'scope' and key = v_target ->> 'key';
        perform audit.append('kill_switch'::text, v_target || jsonb_build_object('engaged', false,
            'reason', v_new ->> 'reason', 'actor', p_actor, 'proposal_id', p_proposal_id), clock_timestamp());
    when 'governance' then
        insert into trading.governance (version, mode, cool_off_seconds, actor)
        select g.version + 1, v_new ->> 'mode', (v_new ->> 'cool_off_seconds')::integer, p_actor from trading.governance_in_force() g;
        perform audit.append('governance'::text, p_diff || jsonb_build_object('actor', p_actor, 'proposal_id', p_proposal_id),
            clock_timestamp());
    end case;
end $$;

create function trading.lock_changes()
returns void language sql as $$
    select pg_advisory_xact_lock(hashtextextended('trading.change_proposals', 0))
$$;
comment on function trading.lock_changes is 'Changes happen one after the other: each is held against what is really in force.';

create function trading.propose_change_v1(p_kind text, p_payload jsonb, p_actor text)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_diff jsonb;
    v_now  timestamptz := clock_timestamp();
    g      trading.governance;
    p      trading.change_proposals;
begin
    perform trading.lock_changes();
    perform trading.require_change(p_kind, p_payload, p_actor);
    v_diff := trading.change_diff(p_kind, p_payload);
    if not trading.change_loosens(v_diff) then
        perform trading.make_change(v_diff, p_actor, null);
        return jsonb_build_object('outcome', 'applied', 'diff', v_diff, 'how', 'it does not loosen anything');
    end if;
    g := trading.governance_in_force();
    insert into trading.change_proposals
        (kind, payload, diff, diff_hash, proposed_by, proposed_at, cool_off_until, expires_at)
    values (p_kind, p_payload, v_diff, encode(sha256(convert_to(v_diff::text, 'UTF8')), 'hex'), p_actor, v_now,
        v_now + make_interval(secs => g.cool_off_seconds), v_now + make_interval(secs => g.cool_off_seconds) + interval '24 hours')
    returning * into p;
    perform audit.append('change_proposed'::text, to_jsonb(p), v_now);
    return to_jsonb(p) || jsonb_build_object('outcome', 'proposed', 'mode', g.mode, 'needs', case g.mode
        when 'two_person' then 'the approval of a second person'
        else format('a cool-off of %s s, or the approval of a second person', g.cool_off_seconds) end);
end $$;
comment on function trading.propose_change_v1 is 'kind limit {account, code, value}, kill_switch_release {scope, key, reason} or governance {mode, cool_off_seconds}. What tightens is applied at once; anything else becomes a proposal, and the answer says what it needs. SQLSTATE 22023: it makes no sense.';

create function trading.decide_change(p_proposal_id bigint, p_diff_hash text, p_actor text, p_how text)
returns jsonb language plpgsql as $$
declare
    p        trading.change_proposals;
    g        trading.governance := trading.governance_in_force();
    v_now    timestamptz := clock_timestamp();
    v_until  timestamptz;
    v_reason text;
begin
    select * into p from trading.change_proposals c where c.proposal_id = p_proposal_id for update;
    v_until := greatest(p.cool_off_until, p.proposed_at + make_interval(secs => g.cool_off_seconds));
    v_reason := case
        when p.proposal_id is null then 'there is no such proposal'
        when coalesce(trim(p_actor), '') = '' then 'nobody is named as its actor'
        when p.applied_at is not null then format('it was applied at %s', p.applied_at)
        when p_diff_hash is distinct from p.diff_hash then 'the hash is of another difference than the one proposed'
        when p.expires_at <= v_now then format('it expired at %s', p.expires_at)
        when p_how = 'second person' and lower(trim(p_actor)) = lower(trim(p.proposed_by))
            then format('%s proposed it: another person approves it', p.proposed_by)
        when p_how = 'cool-off' and g.mode = 'two_person' then 'here a second person approves what is loosened (governance: two_person)'
        when p_how = 'cool-off' and v_until > v_now then format('its cool-off ends at %s', v_until)
        when trading.change_diff(p.kind, p.payload) is distinct from p.diff
            then 'what is in force has changed since it was proposed: propose it anew'
    end;
    if v_reason is not null then
        perform audit.append('change_refused'::text, jsonb_build_object('proposal_id', p_proposal_id, 'diff_hash', p_diff_hash,
            'actor', p_actor, 'how', p_how, 'reason', v_reason), v_now);
        return jsonb_build_object('outcome', 'refused', 'proposal_id', p_proposal_id, 'reason', v_reason, 'mode', g.mode);
    end if;
    perform trading.make_change(p.diff, p_actor, p.proposal_id);
    update trading.change_proposals c set applied_by = p_actor, applied_at = v_now, applied_how = p_how
    where c.proposal_id = p.proposal_id;
    perform audit.append('change_applied'::text, jsonb_build_object('proposal_id', p.proposal_id, 'diff', p.diff,
        'diff_hash', p.diff_hash, 'proposed_by', p.proposed_by, 'actor', p_actor, 'how', p_how), v_now);
    return jsonb_build_object('outcome', 'applied', 'proposal_id', p.proposal_id, 'diff', p.diff, 'how', p_how, 'mode', g.mode);
end $$;

create function trading.approve_change_v1(p_proposal_id bigint, p_diff_hash text, p_actor text)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.lock_changes();
    return trading.decide_change(p_proposal_id, p_diff_hash, p_actor, 'second person'::text);
end $$;
comment on function trading.approve_change_v1 is 'Applies a proposal, by another actor than its own. The answer''s outcome is applied, or refused with the reason; both are audited.';

create function trading.apply_cooled_v1(p_proposal_id bigint, p_diff_hash text, p_actor text)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.lock_changes();
    return trading.decide_change(p_proposal_id, p_diff_hash, p_actor, 'cool-off'::text);
end $$;
comment on function trading.apply_cooled_v1 is 'Applies a proposal whose cool-off is over, where governance is cool_off. The answer''s outcome is applied, or refused with the reason; both are audited.';

create or replace function trading.set_kill_switch_v1(
    p_scope text, p_key text, p_engaged boolean, p_reason text, p_actor text, p_at timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not p_engaged then
        raise exception 'a kill switch is not released like this' using errcode = 'BF003',
            hint = 'Propose kill_switch_release with trading.propose_change_v1: it takes a second person, or a cool-off.';
    end if;
    insert into trading.kill_switches as k (scope, key, engaged, reason, actor, changed_at)
    values (p_scope, case when p_scope = 'global' then '*' else p_key end, true, p_reason, p_actor, p_at)
    on conflict (scope, key) do update
    set engaged = true, reason = excluded.reason, actor = excluded.actor, changed_at = excluded.changed_at;
    perform audit.append('kill_switch'::text, jsonb_build_object(
        'scope', p_scope, 'key', p_key, 'engaged', true, 'reason', p_reason, 'actor', p_actor), p_at);
end $$;
comment on function trading.set_kill_switch_v1 is 'Engages. Needs no lease and nobody''s approval: stopping must always be possible. Releasing is refused.';

---------------------------------------------------------------------------------------------------------- rights

revoke all on function
    trading.trading_day, trading.transfers, trading.record_equity_v1, trading.governance_in_force, trading.limit_in_force,
    trading.change_diff, trading.change_loosens, trading.require_change, trading.make_change, trading.lock_changes,
    trading.propose_change_v1, trading.decide_change, trading.approve_change_v1, trading.apply_cooled_v1
    from public;
grant execute on function trading.record_equity_v1 to bifrost_trader;
grant execute on function trading.trading_day, trading.transfers
    to bifrost_trader, bifrost_pipeline, bifrost_reader, bifrost_api;
grant execute on function
    trading.propose_change_v1, trading.approve_change_v1, trading.apply_cooled_v1, trading.set_kill_switch_v1
    to bifrost_api;
grant select on trading.limit_kinds, trading.governance, trading.change_proposals, trading.equity_marks to bifrost_trader;
grant select on reference.symbols to bifrost_trader;
