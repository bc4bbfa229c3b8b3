{# Temporary relations have no schema: they live in the connection. #}
{% macro duckdb__make_temp_relation(base_relation, suffix) -%}
  {{ return(base_relation.incorporate(path={"identifier": base_relation.identifier ~ suffix, "schema": none, "database": none})) }}
{%- endmacro %}

{% macro duckdb__current_timestamp() -%}now(){%- endmacro %}

{% macro duckdb__snapshot_get_time() -%}{{ current_timestamp() }}::timestamp{%- endmacro %}

{% macro duckdb__any_value(expression) -%}arbitrary({{ expression }}){%- endmacro %}
