{# Shares bought as they are, shares sold negative. #}
{% macro signed_quantity(side, quantity) -%}
    case {{ side }} when 'buy' then {{ quantity }} when 'sell' then -{{ quantity }} end
{%- endmacro %}
