select
    f.fill_id,
    f.broker,
    f.exec_id,
    f.client_order_id,
    f.batch_id,
    f.account,
    f.instrument_id,
    f.symbol,
    f.session,
    f.event_at,
    f.side,
    f.quantity,
    f.price,
    f.reference_price,
    f.commission,
    (-f.quantity * f.price - f.commission)::numeric(20, 6) as cash_flow,
    (f.quantity * (f.price - f.reference_price))::numeric(20, 6) as slippage
from {{ ref('stg_fills') }} as f
