with factors as (
    -- more than one action can fall on a session: their factors multiply
    select
        instrument_id,
        ex_session as session,
        exp(sum(ln(price_factor))) as price_factor
    from {{ ref('stg_corporate_actions') }}
    group by instrument_id, ex_session
),

bars as (
    select
        b.*,
        coalesce(f.price_factor, 1) as price_factor
    from {{ ref('stg_daily_bars') }} as b
    left join factors as f using (instrument_id, session)
)

select
    b.instrument_id,
    i.symbol,
    i.asset_class,
    b.session,
    b.open,
    b.high,
    b.low,
    b.close,
    b.volume,
    b.close / (lag(b.close) over by_instrument * b.price_factor) - 1 as total_return,
    -- prices are comparable with today's after all factors that took effect later
    b.close * exp(coalesce(sum(ln(b.price_factor)) over later, 0)) as adj_close,
    b.available_at,
    b.ingested_at,
    b.payload_sha256
from bars as b
inner join {{ ref('stg_instruments') }} as i using (instrument_id)
window
    by_instrument as (partition by b.instrument_id order by b.session),
    -- newest first, so that the frame only grows
    later as (
        partition by b.instrument_id order by b.session desc
        rows between unbounded preceding and 1 preceding
    )
