select
    account,
    broker,
    initial_cash
from {{ source('trading', 'accounts') }}
