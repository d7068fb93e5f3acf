select i.symbol, a.price_factor, a.value
from raw.corporate_actions_as_of() a
join reference.instruments i using (instrument_id)
where a.ex_session = %(session)s and a.kind = %(kind)s and not a.is_cancelled
