-- name: orders
-- Newest first, from below the cursor (created_at, client_order_id).
select o.client_order_id, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.limit_price, o.stop_price,
       o.trail_offset, o.limit_offset, o.post_only, o.reduce_only, o.order_qty, o.reference_price, o.ord_status,
       o.cum_qty, o.avg_px, o.broker_order_id, o.reserved_value, o.leg, o.group_id, o.after_id, o.release, o.is_oco,
       o.parent_id, o.strategies, o.valid_until, o.created_at, o.updated_at
from trading.orders o
where o.account = %(account)s
  and (%(statuses)s::text[] is null or o.ord_status = any (%(statuses)s))
  and (%(symbol)s::text is null or o.symbol = %(symbol)s)
  and (%(batch_id)s::uuid is null or o.batch_id = %(batch_id)s)
  and (%(before_at)s::timestamptz is null or (o.created_at, o.client_order_id) < (%(before_at)s, %(before_id)s))
order by o.created_at desc, o.client_order_id desc
limit %(limit)s

-- name: order
select o.client_order_id, o.batch_id, o.symbol, o.side, o.order_type, o.time_in_force, o.limit_price, o.stop_price,
       o.trail_offset, o.limit_offset, o.post_only, o.reduce_only, o.order_qty, o.reference_price, o.ord_status,
       o.cum_qty, o.avg_px, o.broker_order_id, o.reserved_value, o.leg, o.group_id, o.after_id, o.release, o.is_oco,
       o.parent_id, o.strategies, o.valid_until, o.created_at, o.updated_at
from trading.orders o where o.account = %(account)s and o.client_order_id = %(client_order_id)s

-- name: order_events
select event_seq, kind, ord_status, exec_id, last_qty, last_px, commission, broker_order_id, text, epoch, event_at,
       recorded_at
from trading.order_events where account = %(account)s and client_order_id = %(client_order_id)s order by event_seq

-- name: order_decisions
select decision_id, client_order_id, batch_id, symbol, side, order_qty, reference_price, outcome, reason_code,
       limit_value, actual_value, detail, decided_at
from trading.risk_decisions
where account = %(account)s and client_order_id = %(client_order_id)s order by decision_id

-- name: order_fills
select fill_id, broker, exec_id, client_order_id, symbol, side, last_qty, last_px, commission, corrects_exec_id,
       session, event_at
from trading.fills where account = %(account)s and client_order_id = %(client_order_id)s order by fill_id

-- name: fills
select fill_id, broker, exec_id, client_order_id, symbol, side, last_qty, last_px, commission, corrects_exec_id,
       session, event_at
from trading.fills
where account = %(account)s
  and (%(symbol)s::text is null or symbol = %(symbol)s)
  and (%(before)s::bigint is null or fill_id < %(before)s)
order by fill_id desc limit %(limit)s

-- name: decisions
select decision_id, client_order_id, batch_id, symbol, side, order_qty, reference_price, outcome, reason_code,
       limit_value, actual_value, detail, decided_at
from trading.risk_decisions
where account = %(account)s
  and (%(outcome)s::text is null or outcome = %(outcome)s)
  and (%(symbol)s::text is null or symbol = %(symbol)s)
  and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s)
  and (%(before)s::bigint is null or decision_id < %(before)s)
order by decision_id desc limit %(limit)s

-- name: positions
select symbol, quantity, avg_cost, realized_pnl, updated_at
from trading.positions where account = %(account)s and quantity <> 0 order by symbol

-- name: cash
select balance, reserved, updated_at from trading.cash where account = %(account)s

-- name: limits
select distinct on (code) code, value, unit, version, actor, effective_at
from trading.limits
where account in (%(account)s, '*') and effective_at <= now()
order by code, account = '*', version desc

-- name: chain
select seq, kind, payload, event_at, recorded_at, encode(prev_hash, 'hex') as prev_hash,
       encode(entry_hash, 'hex') as entry_hash
from audit.chain where seq > %(after)s order by seq limit %(limit)s

-- name: chain_head
select seq from audit.chain_head

-- name: standing
-- What the metrics say of the account that only the warehouse knows.
select (select count(*) from trading.blocked_symbols b where b.account = %(account)s) as blocked,
       (select count(*) from signals.target_batches t left join trading.batch_intake i using (batch_id)
        where t.account = %(account)s and (i.status is null or i.status = 'accepted')) as pending,
       (select jsonb_array_length(r.breaks) from trading.reconciliations r
        where r.account = %(account)s order by r.reconciliation_id desc limit 1) as breaks,
       (select extract(epoch from clock_timestamp() - r.recorded_at)::double precision from trading.reconciliations r
        where r.account = %(account)s and r.is_clean order by r.reconciliation_id desc limit 1) as clean_seconds_ago

-- name: unknown_symbol
select s.symbol from unnest(%(symbols)s::text[]) as s (symbol)
where not exists (
    select from reference.instruments i where i.symbol = s.symbol and i.asset_class <> 'index')
limit 1

-- name: is_known
-- Whether the key of a kill switch names something that orders can be of.
select case %(scope)s::text
           when 'symbol' then exists (
               select from reference.instruments i where i.symbol = %(key)s and i.asset_class <> 'index')
           when 'account' then %(key)s = %(account)s or exists (
               select from trading.accounts a where a.account = %(key)s)
           when 'strategy' then exists (
               select from signals.target_batches b where %(key)s = any (b.strategies))
               or exists (select from trading.orders o where %(key)s = any (o.strategies))
           else true
       end as is_known
