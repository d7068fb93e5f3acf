-- name: orders
select client_order_id, account, batch_id, symbol, side, order_qty, reference_price, ord_status, cum_qty, leg,
       after_id, release, released_qty, parent_id
from trading.orders order by client_order_id

-- name: events
-- committed_at: when the transaction that wrote it was durable, by the server's wall clock.
select event_seq, client_order_id, kind, ord_status, coalesce(exec_id, '') as exec_id, last_qty, epoch, order_qty,
       pg_xact_commit_timestamp(xmin) as committed_at
from trading.order_events order by event_seq

-- name: decisions
select decision_id, client_order_id, symbol, outcome, reason_code, epoch from trading.risk_decisions order by decision_id

-- name: fills
select event_seq, exec_id, client_order_id, symbol, side, last_qty, last_px, commission, corrects_exec_id
from trading.fills order by fill_id

-- name: adjustments
select adjustment_id, kind, symbol, qty_change, cash_change, pg_xact_commit_timestamp(xmin) as committed_at
from trading.adjustments order by recorded_at

-- name: parents
select parent_id, symbol, side, order_qty, status from trading.parent_orders order by parent_id

-- name: positions
select symbol, quantity from trading.positions order by symbol

-- name: cash
select a.initial_cash, c.balance, c.reserved from trading.accounts a join trading.cash c using (account)

-- name: blocked
select symbol, reason_code, detail from trading.blocked_symbols order by symbol

-- name: batches
select b.batch_id, coalesce(i.status, 'undecided') as status
from signals.target_batches b left join trading.batch_intake i using (batch_id) order by b.created_at

-- name: reconciliations
select reconciliation_id, is_clean, breaks from trading.reconciliations order by reconciliation_id

-- name: limits
select account, code, version, value, effective_at from trading.limits
-- the account's own rows after everybody's, later versions after earlier: the last of a code is in force
order by code, account <> '*', version

-- name: chain
select seq, kind, payload, pg_xact_commit_timestamp(xmin) as committed_at from audit.chain order by seq

-- name: broken_at
select audit.verify() as seq
