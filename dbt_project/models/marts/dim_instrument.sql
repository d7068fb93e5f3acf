select
    i.instrument_id,
    i.symbol,
    i.name,
    i.asset_class,
    i.exchange_mic,
    i.currency,
    i.is_in_universe,
    t.first_session,
    t.last_session
from {{ ref('stg_instruments') }} as i
cross join lateral (
    -- two looks at the key of each instrument
    select
        min(b.session) as first_session,
        max(b.session) as last_session
    from {{ ref('fct_daily_bars') }} as b
    where b.instrument_id = i.instrument_id
) as t
