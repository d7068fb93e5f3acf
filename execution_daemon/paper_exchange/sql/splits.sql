select distinct on (c.instrument_id) i.symbol, c.price_factor
from raw.corporate_actions c
join reference.instruments i using (instrument_id)
where c.ex_session = %(session)s and c.kind = 'split'
order by c.instrument_id, c.ingested_at desc
