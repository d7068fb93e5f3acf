-- The daemon's book holds what its fills add up to; the last row of each position, what they add up to after splits.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_positions_daily'}}}) }}
with filled as (
    select
        account,
        symbol,
        sum({{ signed_quantity('side', 'last_qty') }}) as quantity
    from {{ source('trading', 'fills') }}
    group by account, symbol
),

booked as (
    select
        account,
        symbol,
        quantity
    from {{ source('trading', 'positions') }}
),

shown as (
    select distinct on (account, symbol)
        account,
        symbol,
        session,
        quantity
    from {{ ref('fct_positions_daily') }}
    order by account, symbol, session desc
),

summed as (
    -- each fill on its own, times every split between it and the row shown
    select
        f.account,
        f.symbol,
        sum(f.quantity * coalesce(x.ratio, 1)) as quantity
    from {{ ref('fct_fills') }} as f
    inner join shown as s using (account, symbol)
    left join lateral (
        select exp(sum(ln(a.ratio::numeric))) as ratio
        from {{ ref('fct_corporate_actions') }} as a
        where a.instrument_id = f.instrument_id
            and a.kind = 'split'
            and not a.is_cancelled
            and a.ex_session > f.session
            and a.ex_session <= s.session
    ) as x on true
    group by f.account, f.symbol
)

select
    account,
    symbol,
    'trading.positions' as book,
    f.quantity as fills,
    b.quantity as held
from filled as f
full join booked as b using (account, symbol)
where coalesce(f.quantity, 0) <> coalesce(b.quantity, 0)
union all
select
    f.account,
    f.symbol,
    'fct_positions_daily' as book,
    m.quantity as fills,
    s.quantity as held
from (select distinct account, symbol from {{ ref('fct_fills') }}) as f
left join summed as m using (account, symbol)
left join shown as s using (account, symbol)
where s.quantity is null or abs(m.quantity - s.quantity) >= 0.000001
