{# Schemas are named exactly as configured (staging, marts), without the target's schema in front. A build as of a cutoff
   goes to schemas of its own (marts_as_of), so that what the app reads never shows the past. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}{{ '_as_of' if is_as_of_build() }}
{%- endmacro %}
