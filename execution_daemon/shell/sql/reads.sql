-- name: account
select a.account, a.initial_cash, c.balance
from trading.accounts a join trading.cash c using (account)
where a.account = %(account)s

-- name: positions
select symbol, quantity, avg_cost, realized_pnl from trading.positions where account = %(account)s

-- name: blocked
select symbol, reason_code, detail from trading.blocked_symbols where account = %(account)s

-- name: live_orders
-- Orders that can still change, and those that ended since the last clean reconciliation.
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, coalesce(b.valid_until, o.created_at) as valid_until
from trading.orders o left join signals.target_batches b using (batch_id)
where o.account = %(account)s
  and (o.ord_status not in ('filled', 'canceled', 'rejected', 'expired')
       or o.updated_at >= coalesce((select max(r.event_at) from trading.reconciliations r
                                    where r.account = %(account)s and r.is_clean), '-infinity'))
order by o.created_at, o.client_order_id

-- name: all_orders
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, o.avg_px, o.reserved_value,
       coalesce(b.valid_until, o.created_at) as valid_until
from trading.orders o left join signals.target_batches b using (batch_id)
where o.account = %(account)s

-- name: one_order
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, coalesce(b.valid_until, o.created_at) as valid_until
from trading.orders o left join signals.target_batches b using (batch_id)
where o.account = %(account)s and o.client_order_id = %(client_order_id)s

-- name: events
select client_order_id, kind, event_at, coalesce(exec_id, '') as exec_id, last_qty, coalesce(last_px, 0) as last_px,
       commission, coalesce(broker_order_id, '') as broker_order_id, coalesce(text, '') as text
from trading.order_events
where client_order_id = any (%(client_order_ids)s) and kind <> 'intent'
order by event_seq

-- name: all_events
select client_order_id, kind, event_at, coalesce(exec_id, '') as exec_id, last_qty, coalesce(last_px, 0) as last_px,
       commission, coalesce(broker_order_id, '') as broker_order_id, coalesce(text, '') as text
from trading.order_events
where account = %(account)s and kind <> 'intent'
order by event_seq

-- name: reserved
select reserved from trading.cash where account = %(account)s

-- name: fills_since
select exec_id, client_order_id, symbol, last_qty, last_px, commission
from trading.fills
where account = %(account)s and broker = %(broker)s and event_at >= coalesce(%(since)s::timestamptz, '-infinity')

-- name: undecided_batches
-- Batches nobody has decided on, and those accepted of which no order was decided: the daemon stopped in between.
select b.batch_id, b.account, b.strategies, b.as_of_session, b.valid_from, b.valid_until, b.row_count, b.content_hash,
       b.dagster_run_id, b.code_version, b.data_version
from signals.target_batches b left join trading.batch_intake i using (batch_id)
where b.account = %(account)s
  and (i.status is null
       or i.status = 'accepted'
          and not exists (select from trading.risk_decisions d where d.batch_id = b.batch_id))
order by b.created_at, b.batch_id

-- name: accepted_batches
select i.batch_id from trading.batch_intake i
where i.account = %(account)s and i.status = 'accepted'
  and exists (select from trading.risk_decisions d where d.batch_id = i.batch_id)

-- name: last_batch
select b.batch_id, b.account, b.strategies, b.as_of_session, b.valid_from, b.valid_until, b.row_count, b.content_hash,
       b.dagster_run_id, b.code_version, b.data_version
from signals.target_batches b join trading.batch_intake i using (batch_id)
where b.account = %(account)s and i.status = 'worked'
order by i.decided_at desc, b.created_at desc limit 1

-- name: targets
select batch_id, symbol, target_weight, reference_price, contributions
from signals.targets where batch_id = any (%(batch_ids)s) order by symbol

-- name: known_symbols
select symbol from reference.instruments where asset_class <> 'index'

-- name: limits
select distinct on (code) code, value, unit, version
from trading.limits
where account in (%(account)s, '*') and effective_at <= now()
order by code, account = '*', version desc

-- name: kill_switches
select scope, key, reason, actor, changed_at from trading.kill_switches where engaged order by scope, key

-- name: is_order_killed
select not exists (
    select from trading.leases l
    where l.name = %(account)s and l.holder = %(holder)s and l.epoch = %(epoch)s
) or exists (
    select from trading.kill_switches k
    where k.engaged and (
        k.scope = 'global'
        or (k.scope = 'account' and k.key = o.account)
        or (k.scope = 'symbol' and k.key = o.symbol)
        or (k.scope = 'strategy' and k.key = any (b.strategies))))
from trading.orders o left join signals.target_batches b using (batch_id)
where o.client_order_id = %(client_order_id)s

-- name: restricted
select i.symbol, r.reason
from reference.restricted_list r join reference.instruments i using (instrument_id)
where r.valid_from <= %(session)s and (r.valid_to is null or %(session)s < r.valid_to)

-- name: session_from
-- The session that is on or comes next.
select session, open_at, close_at from reference.sessions
where exchange_mic = %(mic)s and close_at > %(now)s order by close_at limit 1

-- name: last_reconciliation
select reconciliation_id, is_clean, event_at from trading.reconciliations
where account = %(account)s order by reconciliation_id desc limit 1

-- name: last_clean_reconciliation
select event_at from trading.reconciliations
where account = %(account)s and is_clean order by reconciliation_id desc limit 1

-- name: pending_batches
select count(*) from signals.target_batches b left join trading.batch_intake i using (batch_id)
where b.account = %(account)s and (i.status is null or i.status = 'accepted')

-- name: lease_holder
select holder from trading.leases where name = %(account)s
