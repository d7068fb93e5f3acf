-- name: use_token
select name, scopes from trading.use_token_v1(%(hash)s)

-- name: tokens
select name, scopes, created_by, created_at, expires_at, revoked_at, last_used_on
from trading.api_tokens order by created_at desc, token_id limit %(limit)s

-- name: revoke_token
select trading.revoke_token_v1(%(name)s, %(actor)s) as is_revoked

-- name: begin_command
select outcome, command_id, status_code, response
from trading.begin_command_v1(%(actor)s, %(key)s, %(route)s, %(request)s, %(hash)s, %(runner)s)

-- name: end_command
select trading.end_command_v1(%(command_id)s, %(runner)s, %(status_code)s, %(response)s)

-- name: propose_release
select trading.propose_change_v1('kill_switch_release', %(payload)s, %(actor)s) as outcome

-- name: approve_change
select trading.approve_change_v1(%(proposal_id)s, %(diff_hash)s, %(actor)s) as outcome

-- name: apply_cooled
select trading.apply_cooled_v1(%(proposal_id)s, %(diff_hash)s, %(actor)s) as outcome
