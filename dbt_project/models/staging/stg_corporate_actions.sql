with first_known as (
    select
        instrument_id,
        ex_session,
        kind,
        min(available_at) as first_known_at,
        count(*) as vintages
    from {{ source('raw', 'corporate_actions') }}
    where ingested_at <= {{ stored_at() }}
    group by instrument_id, ex_session, kind
)

select
    a.instrument_id,
    a.ex_session,
    a.kind,
    a.price_factor,
    a.value,
    a.is_cancelled or (a.kind in ('split', 'cash_dividend') and a.price_factor = 1) as is_cancelled,
    f.first_known_at,
    f.vintages,
    a.available_at,
    a.ingested_at,
    a.payload_sha256
from {{ as_of('corporate_actions_as_of', reads=['corporate_actions']) }} as a
inner join first_known as f using (instrument_id, ex_session, kind)
