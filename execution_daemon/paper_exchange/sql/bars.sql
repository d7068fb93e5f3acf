select i.symbol, b.open, b.high, b.low, b.close, b.volume
from raw.daily_bars b
join reference.instruments i using (instrument_id)
where b.session = %(session)s
  and i.asset_class <> 'index'
  and not exists (
      select from raw.daily_bars_superseded s
      where s.instrument_id = b.instrument_id and s.session = b.session and s.ingested_at = b.ingested_at
  )
