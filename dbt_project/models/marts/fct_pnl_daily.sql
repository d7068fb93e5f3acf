with held as (
    select
        account,
        session,
        sum(market_value) as market_value
    from {{ ref('fct_positions_daily') }}
    group by account, session
),

flows as (
    select
        account,
        session,
        sum(cash_flow) as cash_flow,
        sum(commission) as commission,
        count(*) as fills
    from {{ ref('fct_fills') }}
    group by account, session
),

daily as (
    select
        h.account,
        h.session,
        a.initial_cash,
        a.initial_cash + sum(coalesce(f.cash_flow, 0)) over (partition by h.account order by h.session) as cash,
        h.market_value,
        coalesce(f.commission, 0) as commission,
        coalesce(f.fills, 0) as fills
    from held as h
    inner join {{ ref('stg_accounts') }} as a using (account)
    left join flows as f using (account, session)
)

select
    account,
    session,
    cash::numeric(20, 6) as cash,
    market_value::numeric(20, 6) as market_value,
    (cash + market_value)::numeric(20, 6) as equity,
    (
        cash + market_value
        - coalesce(lag(cash + market_value) over (partition by account order by session), initial_cash)
    )::numeric(20, 6) as daily_pnl,
    commission::numeric(20, 6) as commission,
    fills::integer as fills
from daily
