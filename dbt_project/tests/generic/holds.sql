{% test holds(model, expression) %}
{# The expression is true of every row; null counts as a failure. #}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
