-- The functions of the migrations: each is one transaction.

-- name: acquire_lease
select trading.acquire_lease_v1(%(account)s, %(holder)s, %(seconds)s)

-- name: renew_lease
select trading.renew_lease_v1(%(account)s, %(holder)s, %(epoch)s, %(seconds)s)

-- name: release_lease
select trading.release_lease_v1(%(account)s, %(holder)s, %(epoch)s)

-- name: open_account
select trading.open_account_v1(%(account)s, %(holder)s, %(epoch)s, %(broker)s, %(initial_cash)s, %(at)s)

-- name: set_kill_switch
select trading.set_kill_switch_v1(%(scope)s, %(key)s, %(engaged)s, %(reason)s, %(actor)s, %(at)s)

-- name: decide_batch
select trading.decide_batch_v1(%(account)s, %(holder)s, %(epoch)s, %(batch_id)s, %(status)s, %(reason_code)s, %(detail)s, %(at)s)

-- name: submit_intents
select client_order_id, outcome, reason_code
from trading.submit_intents_v1(%(account)s, %(holder)s, %(epoch)s, %(at)s, %(reserve_limit)s, %(intents)s)

-- name: record_event
select trading.record_event_v1(%(account)s, %(holder)s, %(epoch)s, %(broker)s, %(mic)s, %(event)s)

-- name: record_adjustment
select trading.record_adjustment_v1(%(account)s, %(holder)s, %(epoch)s, %(broker)s, %(adjustment)s)

-- name: end_parent
select trading.end_parent_v1(%(account)s, %(holder)s, %(epoch)s, %(parent_id)s, %(text)s, %(at)s)

-- name: release_batch
select trading.release_batch_v1(%(account)s, %(holder)s, %(epoch)s, %(batch_id)s, %(reason)s, %(actor)s, %(at)s)

-- name: block_symbol
select trading.block_symbol_v1(%(account)s, %(holder)s, %(epoch)s, %(symbol)s, %(reason_code)s, %(detail)s, %(at)s)

-- name: unblock_symbol
select trading.unblock_symbol_v1(%(account)s, %(holder)s, %(epoch)s, %(symbol)s, %(reason_code)s, %(actor)s, %(at)s)

-- name: record_reconciliation
select trading.record_reconciliation_v1(
    %(account)s, %(holder)s, %(epoch)s, %(breaks)s, %(orders_checked)s, %(fills_checked)s, %(at)s)

-- name: beat
select trading.beat_v1(%(component)s, %(holder)s, %(state)s, %(detail)s, %(market_time)s)
