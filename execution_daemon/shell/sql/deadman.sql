-- What the dead-man switch asks besides.

-- name: lease
select holder, epoch, expires_at from trading.leases where name = %(account)s

-- name: record_deadman
select trading.record_deadman_v1(%(account)s, %(detail)s)
