select
    f.fill_id,
    f.broker,
    f.exec_id,
    f.client_order_id,
    o.batch_id,
    f.account,
    s.instrument_id,
    f.symbol,
    f.session,
    f.event_at,
    f.side,
    {{ signed_quantity('f.side', 'f.last_qty') }} as quantity,
    f.last_px as price,
    f.commission,
    o.reference_price
from {{ source('trading', 'fills') }} as f
inner join {{ source('trading', 'orders') }} as o using (client_order_id)
-- what the symbol meant on the day
inner join {{ source('reference', 'symbols') }} as s
    on f.symbol = s.symbol and f.session >= s.valid_from and (s.valid_to is null or f.session < s.valid_to)
