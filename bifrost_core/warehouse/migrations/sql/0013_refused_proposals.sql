-- A proposal that makes no sense is refused and audited, as a refused approval is: raising would take its trace back too.

create function trading.propose_change(p_kind text, p_payload jsonb, p_actor text)
returns jsonb language plpgsql as $$
declare
    v_diff jsonb;
    v_now  timestamptz := clock_timestamp();
    g      trading.governance;
    p      trading.change_proposals;
begin
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

create or replace function trading.propose_change_v1(p_kind text, p_payload jsonb, p_actor text)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform trading.lock_changes();
    begin
        return trading.propose_change(p_kind, p_payload, p_actor);
    exception when data_exception or integrity_constraint_violation then
        perform audit.append('change_refused'::text, jsonb_build_object('kind', p_kind, 'payload', p_payload,
            'actor', p_actor, 'how', 'proposal', 'reason', sqlerrm), clock_timestamp());
        return jsonb_build_object('outcome', 'refused', 'reason', sqlerrm, 'mode', (trading.governance_in_force()).mode);
    end;
end $$;
comment on function trading.propose_change_v1 is 'kind limit {account, code, value}, kill_switch_release {scope, key, reason} or governance {mode, cool_off_seconds}. What tightens is applied at once, what loosens becomes a proposal, and the answer says what it needs; what makes no sense is refused, with the reason. All of it is audited.';

revoke all on function trading.propose_change from public;
