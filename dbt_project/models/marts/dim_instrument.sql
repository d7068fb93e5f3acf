with traded as (
    select
        instrument_id,
        min(session) as first_session,
        max(session) as last_session
    from {{ ref('stg_daily_bars') }}
    group by instrument_id
)

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
left join traded as t using (instrument_id)
