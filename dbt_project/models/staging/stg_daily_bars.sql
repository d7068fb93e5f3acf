select
    instrument_id,
    session,
    open,
    high,
    low,
    close,
    volume,
    split_factor,
    dividend_factor,
    available_at,
    ingested_at,
    payload_sha256
from {{ as_of('bars_with_factors_as_of', reads=['daily_bars', 'corporate_actions']) }}
