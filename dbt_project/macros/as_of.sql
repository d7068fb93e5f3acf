{# Rows of a set-returning function of schema raw, such as daily_bars_as_of, as of this build's cutoffs: what a trader could
   have known at `known_at`, among what was stored by `stored_at`. `reads` names the tables behind it, for the lineage. #}
{% macro as_of(function, reads) -%}
    {%- for table in reads %}{% do source('raw', table) %}{% endfor -%}
    raw.{{ function }}({{ known_at() }}, {{ stored_at() }})
{%- endmacro %}

{% macro known_at() -%} '{{ var("known_at") }}'::timestamptz {%- endmacro %}

{% macro stored_at() -%} '{{ var("stored_at") }}'::timestamptz {%- endmacro %}

{% macro is_as_of_build() %}
    {% do return(var("known_at") != "infinity" or var("stored_at") != "infinity") %}
{% endmacro %}
