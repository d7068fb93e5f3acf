-- Current vintages, less the retracted. depends_on: {{ source('raw', 'corporate_actions') }}
select
    instrument_id,
    ex_session,
    kind,
    price_factor
from raw.corporate_actions_as_of()
where price_factor <> 1
