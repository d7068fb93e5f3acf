-- Every vintage known at the cutoff, with when it was replaced. Those with no superseded_at are raw.daily_bars_as_of.
select
    b.instrument_id,
    b.session,
    b.ingested_at,
    b.available_at,
    b.open,
    b.high,
    b.low,
    b.close,
    b.volume,
    b.provider,
    b.payload_sha256,
    s.superseded_at
from {{ source('raw', 'daily_bars') }} as b
left join {{ source('raw', 'daily_bars_superseded') }} as s
    on b.instrument_id = s.instrument_id
    and b.session = s.session
    and b.ingested_at = s.ingested_at
    and s.superseded_at <= least({{ known_at() }}, {{ stored_at() }})
where b.available_at <= {{ known_at() }} and b.ingested_at <= {{ stored_at() }}
