select
    i.instrument_id,
    i.symbol,
    i.name,
    i.asset_class,
    i.exchange_mic,
    i.currency,
    i.listed_to is null and i.instrument_id in (
        select m.instrument_id
        from {{ source('reference', 'universe_members') }} as m
        where m.valid_to is null
    ) as is_in_universe
from {{ source('reference', 'instruments') }} as i
