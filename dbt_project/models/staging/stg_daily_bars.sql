-- Current vintages: the as-of read without a cutoff. depends_on: {{ source('raw', 'daily_bars') }}
select
    instrument_id,
    session,
    open,
    high,
    low,
    close,
    volume,
    available_at,
    ingested_at,
    payload_sha256
from raw.daily_bars_as_of()
