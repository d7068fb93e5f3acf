{# After the insert, a row whose vintage was superseded is that of a withdrawn bar: a revised one has its newer vintage. #}
{% macro delete_superseded() -%}
    {% if is_incremental() %}
    delete from {{ this }} as t
    using {{ ref('stg_bar_vintages') }} as v
    where v.superseded_at is not null
        and v.instrument_id = t.instrument_id and v.session = t.session and v.ingested_at = t.ingested_at
    {%- endif %}
{%- endmacro %}
