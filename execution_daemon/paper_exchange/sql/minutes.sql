select i.symbol, m.start_at, m.open, m.high, m.low, m.close, m.volume
from raw.minute_bars m
join reference.instruments i using (instrument_id)
where m.session = %(session)s
  -- the table is partitioned by this column, not by session
  and m.start_at >= %(session)s::date - 1
  and m.start_at < %(session)s::date + 2
  and i.asset_class <> 'index'
  and not exists (
      select from raw.minute_bars_superseded s
      where s.instrument_id = m.instrument_id and s.start_at = m.start_at and s.ingested_at = m.ingested_at
  )
order by i.symbol, m.start_at
