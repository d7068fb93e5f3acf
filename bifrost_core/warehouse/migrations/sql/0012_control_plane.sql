-- The control plane: tokens that name who acts, commands that happen once, and a lease that says whether it was let go.

---------------------------------------------------------------------------------------------------------- tokens

create table trading.api_tokens (
    token_id     uuid primary key default gen_random_uuid(),
    name         text not null check (name ~ '^[a-z][a-z0-9._-]{0,62}$'),
    token_hash   bytea not null unique check (length(token_hash) = 32),
    scopes       text[] not null check (cardinality(scopes) > 0 and scopes <@ array['read', 'trade', 'risk', 'admin']),
    created_by   text not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz check (expires_at is not null or name = 'local'),
    revoked_at   timestamptz,
    last_used_on date
);
create unique index on trading.api_tokens (name) where revoked_at is null;
comment on table trading.api_tokens is 'Who may use the daemon''s API. Only the SHA-256 of a token is kept; name is the actor of everything done with it. The installation''s own token is named local and does not expire.';
revoke all on trading.api_tokens from bifrost_reader, bifrost_pipeline, bifrost_trader;

create function trading.create_token_v1(
    p_name text, p_hash bytea, p_scopes text[], p_expires_at timestamptz, p_actor text)
returns uuid language plpgsql as $$
declare
    v_id uuid;
begin
    insert into trading.api_tokens (name, token_hash, scopes, expires_at, created_by)
    values (p_name, p_hash, p_scopes, p_expires_at, p_actor)
    on conflict (name) where revoked_at is null do nothing
    returning token_id into v_id;
    if v_id is not null then
        perform audit.append('token'::text, jsonb_build_object('change', 'created', 'name', p_name, 'scopes', p_scopes,
            'expires_at', p_expires_at, 'actor', p_actor), clock_timestamp());
    end if;
    return v_id;
end $$;
comment on function trading.create_token_v1 is 'Null where a token of that name is in force. The owner''s alone: no part that runs can give itself rights.';

create function trading.set_local_token_v1(p_hash bytea)
returns void language plpgsql as $$
begin
    if exists (select from trading.api_tokens t where t.token_hash = p_hash) then
        return;
    end if;
    update trading.api_tokens set revoked_at = clock_timestamp() where name = 'local' and revoked_at is null;
    perform trading.create_token_v1('local'::text, p_hash, array['read', 'trade', 'risk'], null, 'migration'::text);
end $$;
comment on function trading.set_local_token_v1 is 'Registers the token in this installation''s secrets, and revokes an older one. What was revoked stays so.';

create function trading.revoke_token_v1(p_name text, p_actor text)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update trading.api_tokens set revoked_at = clock_timestamp() where name = p_name and revoked_at is null;
    if not found then
        return false;
    end if;
    perform audit.append('token'::text, jsonb_build_object('change', 'revoked', 'name', p_name, 'actor', p_actor),
        clock_timestamp());
    return true;
end $$;
comment on function trading.revoke_token_v1 is 'False where no token of that name is in force.';

create function trading.use_token_v1(p_hash bytea)
returns table (name text, scopes text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    t trading.api_tokens;
begin
    select * into t from trading.api_tokens a
    where a.token_hash = p_hash and a.revoked_at is null and (a.expires_at is null or a.expires_at > clock_timestamp());
    if not found then
        return;
    end if;
    if t.last_used_on is distinct from current_date then
        update trading.api_tokens a set last_used_on = current_date where a.token_id = t.token_id;
    end if;
    return query select t.name, t.scopes;
end $$;
comment on function trading.use_token_v1 is 'Whom a token stands for: found by its hash, so no comparison takes longer the nearer a guess is. No row where it is unknown, expired or revoked.';

-------------------------------------------------------------------------------------------------------- commands

create table trading.commands (
    command_id      uuid primary key default gen_random_uuid(),
    actor           text not null,
    idempotency_key text not null,
    route           text not null,
    request         jsonb not null,
    request_hash    bytea not null,
    status          text not null check (status in ('running', 'done', 'failed')),
    runner          text not null,
    status_code     integer,
    response        text,
    begun_at        timestamptz not null default clock_timestamp(),
    ended_at        timestamptz,
    unique (actor, idempotency_key),
    check ((status = 'done') = (response is not null and status_code is not null))
);
comment on table trading.commands is 'Every command given to the daemon''s API, once per actor and key. A done one is answered with what is stored; a failed one, or one whose process has died, may be run again under the same command_id.';

create function trading.begin_command_v1(
    p_actor text, p_key text, p_route text, p_request jsonb, p_hash bytea, p_runner text)
returns table (outcome text, command_id uuid, status_code integer, response text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    c trading.commands;
begin
    insert into trading.commands (actor, idempotency_key, route, request, request_hash, status, runner)
    values (p_actor, p_key, p_route, p_request, p_hash, 'running', p_runner)
    on conflict (actor, idempotency_key) do nothing
    returning * into c;
    if not found then
        select * into strict c from trading.commands x where x.actor = p_actor and x.idempotency_key = p_key for update;
        if c.route <> p_route or c.request_hash <> p_hash then
            return query select 'other', c.command_id, null::integer, null::text;
            return;
        elsif c.status = 'done' then
            return query select 'done', c.command_id, c.status_code, c.response;
            return;
        elsif c.status = 'running' and c.runner <> p_runner
              and exists (select from trading.leases l where l.holder = c.runner and l.expires_at > clock_timestamp()) then
            return query select 'running', c.command_id, null::integer, null::text;
            return;
        end if;
        update trading.commands x set status = 'running', runner = p_runner, begun_at = clock_timestamp(), ended_at = null
        where x.command_id = c.command_id;
    end if;
    perform audit.append('command'::text, jsonb_build_object('command_id', c.command_id, 'actor', p_actor,
        'route', p_route, 'request', p_request), clock_timestamp());
    return query select 'begun', c.command_id, null::integer, null::text;
end $$;
comment on function trading.begin_command_v1 is 'begun: do it now. done: answer what is stored. running: another process that leads an account is at it. other: the key was used for another request. Who calls knows what it runs itself.';

create function trading.end_command_v1(p_command_id uuid, p_runner text, p_status_code integer, p_response text)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update trading.commands
    set status = case when p_response is null then 'failed' else 'done' end,
        status_code = p_status_code, response = p_response, ended_at = clock_timestamp()
    where command_id = p_command_id and runner = p_runner and status = 'running';
    return found;
end $$;
comment on function trading.end_command_v1 is 'Stores the answer; null means that it failed and may be tried again. False where another process has taken it over.';

------------------------------------------------------------------------------------------------- dead-man switch

create or replace function trading.release_lease_v1(p_account text, p_holder text, p_epoch bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update trading.leases set expires_at = clock_timestamp(), holder = ''
    where name = p_account and holder = p_holder and epoch = p_epoch;
    return found;
end $$;
comment on function trading.release_lease_v1 is 'A clean end: nobody holds the lease after it, so that the dead-man switch can tell it from a death.';

create function trading.record_deadman_v1(p_account text, p_detail jsonb)
returns bigint language sql security definer set search_path = pg_catalog, pg_temp
return audit.append('deadman'::text, p_detail || jsonb_build_object('account', p_account), clock_timestamp());
comment on function trading.record_deadman_v1 is 'What the dead-man switch did, for the chain.';

---------------------------------------------------------------------------------------------------------- rights

revoke all on function
    trading.create_token_v1, trading.set_local_token_v1, trading.revoke_token_v1, trading.use_token_v1,
    trading.begin_command_v1, trading.end_command_v1, trading.record_deadman_v1
    from public;
grant execute on function
    trading.use_token_v1, trading.revoke_token_v1, trading.begin_command_v1, trading.end_command_v1
    to bifrost_api;
grant execute on function trading.record_deadman_v1 to bifrost_trader;
