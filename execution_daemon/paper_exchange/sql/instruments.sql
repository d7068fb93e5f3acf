select instrument_id, symbol, name, asset_class
from reference.instruments
order by symbol
