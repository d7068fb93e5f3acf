select
    a.instrument_id,
    i.symbol,
    a.ex_session,
    a.kind,
    case when a.kind = 'split' then coalesce(a.value, 1 / a.price_factor) end as ratio,
    case when a.kind = 'cash_dividend' then a.value end as cash_amount,
    a.price_factor,
    a.is_cancelled,
    a.first_known_at,
    a.available_at,
    a.ingested_at,
    a.vintages::integer as vintages,
    a.payload_sha256
from {{ ref('stg_corporate_actions') }} as a
inner join {{ ref('stg_instruments') }} as i using (instrument_id)
