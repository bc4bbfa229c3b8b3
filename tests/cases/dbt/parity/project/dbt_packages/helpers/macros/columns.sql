{% macro star(from, except=[], prefix='') %}{{ return(adapter.dispatch('star', 'helpers')(from, except, prefix)) }}{% endmacro %}

{% macro default__star(from, except=[], prefix='') -%}
  {%- set names = [] -%}
  {%- if execute -%}
    {%- for column in adapter.get_columns_in_relation(from) if column.name not in except -%}
      {%- do names.append(column.name) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- for name in names %}{{ adapter.quote(name) }} as {{ adapter.quote(prefix ~ name) }}{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{% macro values_of(relation, column) -%}
  {%- call statement('values_of', fetch_result=true) -%}
    select distinct {{ column }} from {{ relation }} order by 1
  {%- endcall -%}
  {{ return(load_result('values_of')['table'].columns[0].values() if execute else []) }}
{%- endmacro %}

{% macro surrogate_key(fields) %}{{ return(adapter.dispatch('surrogate_key', 'helpers')(fields)) }}{% endmacro %}

{% macro default__surrogate_key(fields) -%}
  {%- set parts = [] -%}
  {%- for field in fields -%}
    {%- do parts.append("coalesce(cast(" ~ field ~ " as " ~ dbt.type_string() ~ "), '_null_')") -%}
    {%- if not loop.last %}{% do parts.append("'-'") %}{% endif -%}
  {%- endfor -%}
  {{ dbt.hash(dbt.concat(parts)) }}
{%- endmacro %}
