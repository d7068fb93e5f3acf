select
    exchange_mic,
    session,
    open_at,
    close_at,
    is_half_day,
    lag(session) over by_exchange as previous_session,
    lead(session) over by_exchange as next_session
from {{ ref('stg_sessions') }}
window by_exchange as (partition by exchange_mic order by session)
