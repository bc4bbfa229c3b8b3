{# A snapshot's row was valid at a moment. Without `or ... is null`, which would keep the join from being a hash join. #}
{% macro valid_at(snapshot, moment) -%}
  {{ moment }} >= {{ snapshot }}.dbt_valid_from
  and {{ moment }} < coalesce({{ snapshot }}.dbt_valid_to, timestamp '9999-12-31')
{%- endmacro %}
