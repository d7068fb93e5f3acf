select
    i.instrument_id,
    i.symbol,
    i.name,
    i.asset_class,
    i.exchange_mic,
    i.currency,
    exists (
        select 1
        from {{ source('reference', 'universe_members') }} as m
        where m.instrument_id = i.instrument_id and m.valid_to is null
    ) as is_in_universe
from {{ source('reference', 'instruments') }} as i
