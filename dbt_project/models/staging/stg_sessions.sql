select
    exchange_mic,
    session,
    open_at,
    close_at,
    is_half_day
from {{ source('reference', 'sessions') }}
