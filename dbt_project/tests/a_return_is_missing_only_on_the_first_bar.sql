-- Every bar but an instrument's first has the return from the bar before it.
{{ config(meta={'dagster': {'ref': {'name': 'fct_daily_bars'}}}) }}
select b.instrument_id, b.session, b.total_return
from {{ ref('fct_daily_bars') }} as b
inner join {{ ref('dim_instrument') }} as i using (instrument_id)
where (b.total_return is null) <> (b.session = i.first_session)
