with traded as (
    select
        account,
        instrument_id,
        symbol,
        session,
        sum(quantity) as quantity
    from {{ ref('fct_fills') }}
    group by account, instrument_id, symbol, session
),

held as (
    select
        account,
        instrument_id,
        symbol,
        min(session) as first_session
    from traded
    group by account, instrument_id, symbol
),

days as (
    -- every session from the symbol's first fill to the last one with bars or fills
    select
        h.account,
        h.instrument_id,
        h.symbol,
        s.session,
        sum(coalesce(t.quantity, 0)) over (partition by h.account, h.symbol order by s.session) as quantity
    from held as h
    inner join {{ ref('dim_instrument') }} as i using (instrument_id)
    inner join {{ ref('dim_session') }} as s
        on s.exchange_mic = i.exchange_mic
        and s.session between h.first_session and greatest((select max(last_session) from {{ ref('dim_instrument') }}), (select max(session) from traded))
    left join traded as t
        on t.account = h.account and t.instrument_id = h.instrument_id and t.session = s.session
)

select
    d.account,
    d.instrument_id,
    d.symbol,
    d.session,
    d.quantity::numeric(20, 6) as quantity,
    b.session as close_session,
    b.close::numeric(18, 6) as close,
    (d.quantity * b.close::numeric(18, 6))::numeric(20, 6) as market_value
from days as d
inner join lateral (
    -- the last close known on that session
    select bar.session, bar.close
    from {{ ref('fct_daily_bars') }} as bar
    where bar.instrument_id = d.instrument_id and bar.session <= d.session
    order by bar.session desc
    limit 1
) as b on true
