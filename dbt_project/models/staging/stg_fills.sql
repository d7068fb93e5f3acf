select
    f.fill_id,
    f.broker,
    f.exec_id,
    f.client_order_id,
    o.batch_id,
    f.account,
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
