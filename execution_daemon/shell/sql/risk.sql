-- name: risk_restricted
select s.symbol, r.reason, r.blocks
from reference.restricted_list r
join reference.symbols s on s.instrument_id = r.instrument_id
    and %(session)s >= s.valid_from and (s.valid_to is null or %(session)s < s.valid_to)
where r.valid_from <= %(session)s and (r.valid_to is null or %(session)s < r.valid_to)

-- name: risk_facts
-- Of each symbol: the last close before the session, the mean close and volume of the 20 sessions before it, all in
-- today's shares. The latest vintage of a bar counts: what a vendor corrected is what is known.
with wanted as materialized (
    select m.symbol, m.instrument_id, i.sector
    from reference.meant_by(%(symbols)s, %(session)s) m join reference.instruments i using (instrument_id)
), splits as materialized (  -- few: looked through for each bar
    select distinct on (a.instrument_id, a.ex_session) a.instrument_id, a.ex_session, a.price_factor
    from raw.corporate_actions a
    where a.kind = 'split' and a.ex_session > %(session)s::date - 45 and a.ex_session <= %(session)s
    order by a.instrument_id, a.ex_session, a.ingested_at desc
)
select w.symbol, w.sector, (array_agg(b.close * f.factor order by b.session desc))[1]::numeric as previous_close,
       avg(b.close * f.factor)::numeric as period_mean, avg(b.volume / f.factor)::numeric as adv
from wanted w
left join lateral (
    select distinct on (d.session) d.session, d.close, d.volume
    from raw.daily_bars d
    where d.instrument_id = w.instrument_id and d.session >= %(session)s::date - 45 and d.session < %(session)s
    order by d.session desc, d.ingested_at desc
    limit 20) b on true
left join lateral (
    select coalesce(exp(sum(ln(s.price_factor))), 1) as factor
    from splits s where s.instrument_id = w.instrument_id and s.ex_session > b.session) f on true
group by w.symbol, w.sector

-- name: risk_day
-- Equity marks are kept less transfers; what was transferred until now is added again. An account without a mark
-- starts from its initial cash.
with bounds as (
    select coalesce(max(s.close_at), '-infinity') as since
    from reference.sessions s where s.exchange_mic = %(mic)s and s.close_at <= %(now)s
), ordered as (
    select greatest(o.reference_price, o.limit_price, o.stop_price) * case
               when o.ord_status in ('filled', 'canceled', 'rejected', 'expired') then o.cum_qty
               else coalesce(o.released_qty, o.order_qty) end
           * (o.parent_id is null)::integer as value
    from trading.orders o, bounds b where o.account = %(account)s and o.created_at > b.since
    union all
    select p.reference_price * p.order_qty
    from trading.parent_orders p, bounds b where p.account = %(account)s and p.created_at > b.since
)
select (select coalesce(sum(o.value), 0) from ordered o) as value,
       (select count(*) from ordered) as orders,
       t.transferred + coalesce((select m.last_equity from trading.equity_marks m
                                 where m.account = a.account and m.session < %(session)s
                                 order by m.session desc limit 1), a.initial_cash) as start_equity,
       t.transferred + greatest(a.initial_cash, (select max(m.high_equity) from trading.equity_marks m
                                                 where m.account = a.account and m.session <= %(session)s)) as high_water,
       t.transferred + (select m.low_equity from trading.equity_marks m
                        where m.account = a.account and m.session = %(session)s) as low_equity,
       (select r.event_at from trading.reconciliations r
        where r.account = a.account and r.is_clean order by r.reconciliation_id desc limit 1) as reconciled_at
from trading.accounts a cross join lateral (select trading.transfers(a.account) as transferred) t
where a.account = %(account)s

-- name: risk_recent
-- Orders of the last hour that work or were executed; slices of parents are left out, their parents are not.
select o.symbol, o.side, o.order_qty, o.order_type, o.limit_price, o.created_at, o.cum_qty > 0 as was_executed
from trading.orders o
where o.account = %(account)s and o.parent_id is null and o.created_at > %(since)s and o.created_at <= %(now)s
  and (o.cum_qty > 0 or o.ord_status not in ('filled', 'canceled', 'rejected', 'expired'))
union all
select p.symbol, p.side, p.order_qty, 'market', null, p.created_at, true
from trading.parent_orders p
where p.account = %(account)s and p.created_at > %(since)s and p.created_at <= %(now)s
order by created_at

-- name: record_equity
select trading.record_equity_v1(%(account)s, %(holder)s, %(epoch)s, %(mic)s, %(equity)s, %(at)s)
