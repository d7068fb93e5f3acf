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

last_day as (
    select greatest(
        (select max(last_session) from {{ ref('dim_instrument') }}),
        (select max(session) from traded)
    ) as session
),

splits as (
    -- the daemon books no corporate actions: shares held over a split are scaled here
    select
        instrument_id,
        ex_session,
        sum(ln(ratio::numeric)) as log_ratio
    from {{ ref('fct_corporate_actions') }}
    where kind = 'split' and not is_cancelled
    group by instrument_id, ex_session
),

days as (
    -- every session from the symbol's first fill to the last one with bars or fills
    select
        h.account,
        h.instrument_id,
        h.symbol,
        s.session,
        coalesce(t.quantity, 0) as traded,
        round(
            exp(coalesce(sum(x.log_ratio) filter (where x.ex_session > h.first_session) over so_far, 0)), 12
        ) as shares_per_first
    from held as h
    inner join {{ ref('dim_instrument') }} as i using (instrument_id)
    cross join last_day as l
    inner join {{ ref('dim_session') }} as s
        on i.exchange_mic = s.exchange_mic
        and s.session between h.first_session and l.session
    left join splits as x
        on h.instrument_id = x.instrument_id and s.session = x.ex_session
    left join traded as t
        on h.account = t.account and h.instrument_id = t.instrument_id and s.session = t.session
    window so_far as (partition by h.account, h.instrument_id order by s.session)
),

scaled as (
    -- in shares of the first day, which no split changes, and back in shares of each day
    select
        *,
        shares_per_first * sum(traded / shares_per_first) over (
            partition by account, instrument_id order by session
        ) as quantity
    from days
)

select
    d.account,
    d.instrument_id,
    d.symbol,
    d.session,
    d.quantity::numeric(20, 6) as quantity,
    b.session as close_session,
    b.close::numeric(18, 6) as close,
    (d.quantity::numeric(20, 6) * b.close::numeric(18, 6))::numeric(20, 6) as market_value
from scaled as d
inner join lateral (
    -- the last close known on that session
    select
        bar.session,
        bar.close
    from {{ ref('fct_daily_bars') }} as bar
    where bar.instrument_id = d.instrument_id and bar.session <= d.session
    order by bar.session desc
    limit 1
) as b on true
