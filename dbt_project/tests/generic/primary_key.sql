{% test primary_key(model, columns) %}
{# The database itself keeps rows unique by these columns, so nothing has to be counted. #}
select '{{ columns | join(", ") }}' as missing_primary_key
where not exists (
    select 1
    from pg_constraint as c
    where c.conrelid = '{{ model }}'::regclass
        and c.contype = 'p'
        and (
            select array_agg(a.attname::text order by a.attname)
            from pg_attribute as a
            where a.attrelid = c.conrelid and a.attnum = any(c.conkey)
        ) = array['{{ columns | sort | join("', '") }}']
)
{% endtest %}
