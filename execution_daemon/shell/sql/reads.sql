-- name: account
select a.account, a.initial_cash, a.created_at, c.balance
from trading.accounts a join trading.cash c using (account)
where a.account = %(account)s

-- name: positions
select symbol, quantity, avg_cost, realized_pnl from trading.positions where account = %(account)s

-- name: blocked
select symbol, reason_code, detail from trading.blocked_symbols where account = %(account)s

-- name: live_orders
-- Orders that can still change, those that ended since the last clean reconciliation, and those that others wait for.
with recursive live as (
    select l.client_order_id, l.after_id, l.group_id from trading.orders l
    where l.account = %(account)s and l.ord_status not in ('filled', 'canceled', 'rejected', 'expired')
), awaited as (  -- of what was replaced before it was sent, what it waited for
    select l.after_id from live l where l.after_id is not null
    union
    select o.after_id from awaited a join trading.orders o on o.client_order_id = a.after_id
    where o.after_id is not null and o.released_qty is null
)
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, o.avg_px, o.reserved_value, o.valid_until, o.limit_price,
       o.stop_price, o.trail_offset, o.limit_offset, o.post_only, o.reduce_only, o.group_id, o.after_id, o.release,
       o.is_oco, o.parent_id, o.strategies
from trading.orders o
where o.account = %(account)s
  and (o.client_order_id in (select live.client_order_id from live)
       or o.client_order_id in (select awaited.after_id from awaited)
       or o.group_id in (select live.group_id from live where live.group_id is not null)
       or o.parent_id in (select p.parent_id from trading.parent_orders p
                          where p.account = %(account)s and p.status = 'working')
       or o.updated_at >= coalesce((select max(r.event_at) from trading.reconciliations r
                                    where r.account = %(account)s and r.is_clean), '-infinity'))
order by o.created_at, o.client_order_id

-- name: all_orders
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, o.avg_px, o.reserved_value, o.valid_until, o.limit_price,
       o.stop_price, o.trail_offset, o.limit_offset, o.post_only, o.reduce_only, o.group_id, o.after_id, o.release,
       o.is_oco, o.parent_id, o.strategies
from trading.orders o
where o.account = %(account)s

-- name: one_order
select o.client_order_id, o.account, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.order_qty,
       o.reference_price, o.leg, o.ord_status, o.cum_qty, o.avg_px, o.reserved_value, o.valid_until, o.limit_price,
       o.stop_price, o.trail_offset, o.limit_offset, o.post_only, o.reduce_only, o.group_id, o.after_id, o.release,
       o.is_oco, o.parent_id, o.strategies
from trading.orders o
where o.account = %(account)s and o.client_order_id = %(client_order_id)s

-- name: events
select client_order_id, kind, event_at, coalesce(exec_id, '') as exec_id, last_qty, coalesce(last_px, 0) as last_px,
       commission, coalesce(broker_order_id, '') as broker_order_id, coalesce(text, '') as text,
       coalesce(exec_ref_id, '') as exec_ref_id, coalesce(order_qty, 0) as order_qty
from trading.order_events
where client_order_id = any (%(client_order_ids)s) and kind <> 'intent'
order by event_seq

-- name: all_events
select client_order_id, kind, event_at, coalesce(exec_id, '') as exec_id, last_qty, coalesce(last_px, 0) as last_px,
       commission, coalesce(broker_order_id, '') as broker_order_id, coalesce(text, '') as text,
       coalesce(exec_ref_id, '') as exec_ref_id, coalesce(order_qty, 0) as order_qty, recorded_at
from trading.order_events
where account = %(account)s and kind <> 'intent'
order by event_seq

-- name: parents
select parent_id, account, batch_id, symbol, side, order_qty, reference_price, leg, strategies, schedule, start_at, end_at,
       status
from trading.parent_orders where account = %(account)s and status = 'working' order by created_at, parent_id

-- name: all_adjustments
select adjustment_id, kind, coalesce(symbol, '') as symbol, qty_change, cash_change, coalesce(text, '') as text, event_at,
       recorded_at
from trading.adjustments where account = %(account)s order by recorded_at, adjustment_id

-- name: adjustments_since
select adjustment_id from trading.adjustments
where account = %(account)s and broker = %(broker)s and event_at >= coalesce(%(since)s::timestamptz, '-infinity')

-- name: reserved
select reserved from trading.cash where account = %(account)s

-- name: fills_since
select exec_id, client_order_id, symbol, last_qty, last_px, commission
from trading.standing_fills
where account = %(account)s and broker = %(broker)s and event_at >= coalesce(%(since)s::timestamptz, '-infinity')

-- name: undecided_batches
-- Batches nobody has decided on, and those accepted of which no order was decided: the daemon stopped in between.
select b.batch_id, b.account, b.strategies, b.as_of_session, b.valid_from, b.valid_until, b.row_count, b.content_hash,
       b.dagster_run_id, b.code_version, b.data_version, coalesce(i.status = 'released', false) as is_released,
       array(select t.symbol from signals.targets t where t.batch_id = b.batch_id order by t.symbol) as symbols
from signals.target_batches b left join trading.batch_intake i using (batch_id)
where b.account = %(account)s
  and (i.status is null or i.status = 'released'
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
        or (k.scope = 'strategy' and k.key = any (o.strategies))))
from trading.orders o
where o.client_order_id = %(client_order_id)s

-- name: volume_profiles
-- One-minute bars of the twenty sessions before, in equal parts of the day.
with past as (
    select s.session, s.open_at, s.close_at from reference.sessions s
    where s.exchange_mic = %(mic)s and s.session < %(session)s order by s.session desc limit 20
), parts as (
    select m.symbol, sum(b.volume) as volume,
           least(floor(extract(epoch from b.start_at - p.open_at) / extract(epoch from p.close_at - p.open_at)
                       * %(slices)s)::integer, %(slices)s - 1) as part
    from past p
    cross join reference.meant_by(%(symbols)s, %(session)s) m
    join raw.minute_bars b on b.instrument_id = m.instrument_id and b.start_at >= p.open_at and b.start_at < p.close_at
    group by m.symbol, part
), traded as (
    select symbol, sum(volume) as volume from parts group by symbol having sum(volume) > 0
)
select t.symbol, (coalesce(p.volume, 0) / t.volume)::numeric as share
from traded t cross join generate_series(0, %(slices)s - 1) n left join parts p on p.symbol = t.symbol and p.part = n
order by t.symbol, n

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
where b.account = %(account)s and (i.status is null or i.status in ('accepted', 'released'))

-- name: lease_holder
select holder from trading.leases where name = %(account)s
