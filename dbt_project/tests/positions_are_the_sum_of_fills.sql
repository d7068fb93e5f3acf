-- The last row of each position, and the daemon's own book, hold what its fills add up to.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_positions_daily'}}}) }}
with filled as (
    select account, symbol, sum({{ signed_quantity('side', 'last_qty') }}) as quantity
    from {{ source('trading', 'fills') }}
    group by account, symbol
),

booked as (
    select account, symbol, quantity from {{ source('trading', 'positions') }}
),

shown as (
    select distinct on (account, symbol) account, symbol, quantity
    from {{ ref('fct_positions_daily') }}
    order by account, symbol, session desc
),

summed as (
    select account, symbol, sum(quantity) as quantity from {{ ref('fct_fills') }} group by account, symbol
)

select account, symbol, 'trading.positions' as book, f.quantity as fills, b.quantity as held
from filled as f
full join booked as b using (account, symbol)
where coalesce(f.quantity, 0) <> coalesce(b.quantity, 0)
union all
select account, symbol, 'fct_positions_daily' as book, f.quantity as fills, s.quantity as held
from summed as f
full join shown as s using (account, symbol)
where f.quantity is distinct from s.quantity
