-- First balance plus every cash flow is the balance, in the daemon's book and in the last row of fct_pnl_daily.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_pnl_daily'}}}) }}
with filled as (
    select account, sum(-{{ signed_quantity('side', 'last_qty') }} * last_px - commission) as flow
    from {{ source('trading', 'fills') }}
    group by account
),

shown as (
    select distinct on (account) account, cash from {{ ref('fct_pnl_daily') }} order by account, session desc
),

summed as (
    select account, sum(cash_flow) as flow from {{ ref('fct_fills') }} group by account
)

select a.account, 'trading.cash' as book, a.initial_cash + coalesce(f.flow, 0) as expected, c.balance as held
from {{ source('trading', 'accounts') }} as a
inner join {{ source('trading', 'cash') }} as c using (account)
left join filled as f using (account)
where abs(a.initial_cash + coalesce(f.flow, 0) - c.balance) >= 0.005
union all
select a.account, 'fct_pnl_daily' as book, a.initial_cash + s.flow as expected, p.cash as held
from {{ source('trading', 'accounts') }} as a
inner join summed as s using (account)
left join shown as p using (account)
where p.cash is null or abs(a.initial_cash + s.flow - p.cash) >= 0.005
