-- depends_on: {{ ref("stg_bar_vintages") }}, {{ ref("stg_corporate_actions") }}
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['instrument_id', 'session'],
        indexes=[{'columns': ['ingested_at']}],
        post_hook=["{{ delete_superseded() }}", "{{ write_mark() }}"],
    )
}}

with bars as not materialized (
    -- read in several places, each time for other rows
    select * from {{ ref('stg_daily_bars') }}
),

instruments as (
    select * from {{ ref('stg_instruments') }}
),

{% if is_incremental() %}
since as (
    -- loads overlap for minutes at most: what one stored before the newest bar, and committed after it, is not missed
    select coalesce(max(ingested_at), '-infinity') - interval '10 minutes' as stored_at from {{ this }}
),

changed as (
    -- bars that came or were revised
    select b.instrument_id, b.session, b.split_factor * b.dividend_factor <> 1 as has_action
    from bars as b
    left join {{ this }} as t
        on b.instrument_id = t.instrument_id and b.session = t.session and b.ingested_at = t.ingested_at
    where b.ingested_at > (select stored_at from since) and t.session is null
    union all
    -- and those that were withdrawn
    select t.instrument_id, t.session, t.split_factor * t.dividend_factor <> 1 as has_action
    from {{ ref('stg_bar_vintages') }} as v
    inner join {{ this }} as t
        on v.instrument_id = t.instrument_id and v.session = t.session and v.ingested_at = t.ingested_at
    where v.superseded_at is not null
),

rebuilt as (
    -- adjusted prices before an action depend on it, and every row shows the instrument's current symbol
    select instrument_id from changed where has_action
    union
    select a.instrument_id
    from {{ ref('stg_corporate_actions') }} as a
    inner join bars as b on a.instrument_id = b.instrument_id and a.ex_session = b.session
    inner join {{ this }} as t on a.instrument_id = t.instrument_id and a.ex_session = t.session
    where
        a.ingested_at > (select stored_at from since)
        and (b.split_factor, b.dividend_factor) is distinct from (t.split_factor, t.dividend_factor)
    union
    select i.instrument_id
    from instruments as i
    cross join lateral (
        select t.symbol, t.asset_class
        from {{ this }} as t
        where t.instrument_id = i.instrument_id
        order by t.session desc
        limit 1
    ) as shown
    where (shown.symbol, shown.asset_class) is distinct from (i.symbol, i.asset_class)
),

windows as (
    -- from the bar before the first change, whose close the next return starts from
    select
        c.instrument_id,
        min(c.session) as first_changed,
        coalesce(
            (
                select max(t.session)
                from {{ this }} as t
                where t.instrument_id = c.instrument_id and t.session < min(c.session)
            ),
            min(c.session)
        ) as read_from
    from changed as c
    where c.instrument_id not in (select instrument_id from rebuilt)
    group by c.instrument_id
    union all
    select instrument_id, '-infinity'::date as first_changed, '-infinity'::date as read_from
    from rebuilt
),

read as (
    select b.*, w.first_changed
    from bars as b
    inner join windows as w on b.instrument_id = w.instrument_id and b.session >= w.read_from
    -- said apart, so that years before the oldest change are not opened
    where b.session >= (select min(read_from) from windows)
),
{% else %}
read as (
    select *, '-infinity'::date as first_changed from bars
),
{% endif %}

computed as (
    select
        *,
        close / (lag(close) over by_instrument * split_factor) - 1 as price_return,
        close / (lag(close) over by_instrument * split_factor * dividend_factor) - 1 as total_return,
        -- prices are comparable with today's after all factors that took effect later
        close * exp(coalesce(sum(ln(split_factor)) over later, 0)) as split_adjusted_close,
        close * exp(coalesce(sum(ln(split_factor) + ln(dividend_factor)) over later, 0)) as adj_close
    from read
    window
        by_instrument as (partition by instrument_id order by session),
        -- newest first, so that the frame only grows
        later as (partition by instrument_id order by session desc rows between unbounded preceding and 1 preceding)
),

shown as (
    select
        c.instrument_id,
        i.symbol,
        i.asset_class,
        c.session,
        c.open,
        c.high,
        c.low,
        c.close,
        c.volume,
        c.split_factor,
        c.dividend_factor,
        c.price_return,
        c.total_return,
        c.split_adjusted_close,
        c.adj_close,
        c.available_at,
        c.ingested_at,
        c.payload_sha256
    from computed as c
    inner join instruments as i using (instrument_id)
    where c.session >= c.first_changed
)

select s.*
from shown as s
{% if is_incremental() %}
left join {{ this }} as t on s.instrument_id = t.instrument_id and s.session = t.session
where s.* is distinct from t.*
{% endif %}
