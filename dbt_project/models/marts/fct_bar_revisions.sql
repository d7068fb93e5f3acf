{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        post_hook=["{{ write_mark() }}"],
    )
}}

with superseded as (
    select v.*
    from {{ ref('stg_bar_vintages') }} as v
    where
        v.superseded_at is not null
        {% if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as t
            where t.instrument_id = v.instrument_id and t.session = v.session and t.ingested_at = v.ingested_at
        )
        {% endif %}
),

paired as (
    -- the vintage that took its place; one that came later than that followed a withdrawal
    select
        o.*,
        n.ingested_at as new_ingested_at,
        n.available_at as new_available_at,
        n.open as new_open,
        n.high as new_high,
        n.low as new_low,
        n.close as new_close,
        n.volume as new_volume,
        n.payload_sha256 as new_payload_sha256
    from superseded as o
    left join {{ ref('stg_bar_vintages') }} as n
        on o.instrument_id = n.instrument_id
        and o.session = n.session
        and o.ingested_at < n.ingested_at
        and o.superseded_at >= n.ingested_at
)

select
    p.instrument_id,
    p.session,
    p.ingested_at,
    p.superseded_at,
    p.new_ingested_at is null as is_withdrawn,
    p.available_at as known_at,
    p.new_available_at as new_known_at,
    p.open as old_open,
    p.high as old_high,
    p.low as old_low,
    p.close as old_close,
    p.volume as old_volume,
    p.new_open,
    p.new_high,
    p.new_low,
    p.new_close,
    p.new_volume,
    p.new_close / p.close - 1 as close_change,
    greatest(
        abs(p.new_open / p.open - 1),
        abs(p.new_high / p.high - 1),
        abs(p.new_low / p.low - 1),
        abs(p.new_close / p.close - 1)
    ) as largest_price_change,
    p.new_volume / nullif(p.volume, 0) - 1 as volume_change,
    p.payload_sha256 as old_payload_sha256,
    p.new_payload_sha256
from paired as p
