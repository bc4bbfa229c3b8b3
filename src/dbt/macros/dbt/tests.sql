{% macro get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
  {{ return(adapter.dispatch('get_test_sql', 'dbt')(main_sql, fail_calc, warn_if, error_if, limit)) }}
{%- endmacro %}

{% macro get_limit_subquery_sql(sql, limit) -%}
  {{ return(adapter.dispatch('get_limit_subquery_sql', 'dbt')(sql, limit)) }}
{%- endmacro %}

{% macro default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
select
  {{ fail_calc }} as failures,
  {{ fail_calc }} {{ warn_if }} as should_warn,
  {{ fail_calc }} {{ error_if }} as should_error
from (
  {{ main_sql }}
  {{ "limit " ~ limit if limit is not none }}
) dbt_internal_test
{%- endmacro %}

{% macro default__get_limit_subquery_sql(sql, limit) -%}
{%- if limit is none -%}
{{ sql }}
{%- else -%}
select *
from (
  {{ sql }}
) as dbt_internal_limited
limit {{ limit }}
{%- endif -%}
{%- endmacro %}

{# Whether a test keeps the rows that broke it: its own config first, then the flag. #}
{% macro should_store_failures() -%}
  {%- set chosen = config.get('store_failures') -%}
  {%- if chosen is none -%}{%- set chosen = flags.STORE_FAILURES -%}{%- endif -%}
  {{ return(chosen) }}
{%- endmacro %}

{# A test's `where` wraps the tested relation. #}
{% macro get_where_subquery(relation) -%}
  {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
{%- endmacro %}

{% macro default__get_where_subquery(relation) -%}
  {%- set where = config.get('where', '') -%}
  {%- if where -%}
    {%- set filtered -%}
(select * from {{ relation }} where {{ where }}) dbt_subquery
    {%- endset -%}
    {{ return(filtered) }}
  {%- endif -%}
  {{ return(relation) }}
{%- endmacro %}

{% materialization test, default %}
  {%- set relations = [] -%}
  {%- set rows_sql = get_limit_subquery_sql(sql, config.get('limit')) -%}
  {%- if should_store_failures() -%}
    {%- set kind = config.get('store_failures_as') or 'table' -%}
    {%- if kind not in ['table', 'view'] -%}
      {{ exceptions.raise_compiler_error("store_failures_as cannot be '" ~ kind ~ "': it is one of ephemeral, table, view") }}
    {%- endif -%}
    {%- set old = adapter.get_relation(database=database, schema=schema, identifier=model['alias']) -%}
    {%- set kept = api.Relation.create(database=database, schema=schema, identifier=model['alias'], type=kind) -%}
    {%- if old is not none -%}{%- do adapter.drop_relation(old) -%}{%- endif -%}
    {%- call statement(auto_begin=True) -%}
      {{ get_create_sql(kept, rows_sql) }}
    {%- endcall -%}
    {%- do relations.append(kept) -%}
    {%- do adapter.commit() -%}
    {%- set rows_sql -%}
select * from {{ kept }}
    {%- endset -%}
  {%- endif -%}
  {%- call statement('main', fetch_result=True) -%}
    {{ get_test_sql(rows_sql, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none) }}
  {%- endcall -%}
  {{ return({'relations': relations}) }}
{% endmaterialization %}
