{% macro day_of(bound) %}cast(timestamptz '{{ var(bound) }}' at time zone '{{ var("zone") }}' as date){% endmacro %}
