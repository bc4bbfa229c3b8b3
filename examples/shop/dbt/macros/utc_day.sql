{# The day of an instant. Say the zone: never let it depend on where this runs. #}
{% macro utc_day(instant) -%}
  cast({{ instant }} at time zone 'UTC' as date)
{%- endmacro %}
