{# An incremental table keeps rows that nothing has touched. They are right only if the model is still the one that made
   them: each such table carries a mark of its model, and is built anew where the mark is another. #}

{% macro mark_of(node) -%}
    built from {{ local_md5(node.raw_code ~ node.columns | string) }}
{%- endmacro %}

{% macro write_mark() -%}
    comment on table {{ this }} is '{{ mark_of(model) }}'
{%- endmacro %}

{% macro is_made_by_another_model() %}
    {% set relation = load_relation(this) if execute and model.config.materialized == "incremental" %}
    {% if not relation %}{% do return(false) %}{% endif %}
    {% set found = run_query("select obj_description(" ~ dbt.string_literal(this) ~ "::regclass)") %}
    {% do return(found.rows[0][0] != mark_of(model)) %}
{% endmacro %}

{# Takes the place of dbt's own: asked for, a build as of a cutoff, or a model that changed. #}
{% macro should_full_refresh() %}
    {% set asked = config.get("full_refresh") if config.get("full_refresh") is not none else flags.FULL_REFRESH %}
    {% do return(asked or is_as_of_build() or is_made_by_another_model()) %}
{% endmacro %}
