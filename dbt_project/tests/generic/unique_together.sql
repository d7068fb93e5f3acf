{% test unique_together(model, columns) %}
{# The columns identify a row: no two rows have the same values in all of them. #}
select {{ columns | join(', ') }}, count(*) as n
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
