{% macro create_csv_table(model, agate_table) -%}
  {{ return(adapter.dispatch('create_csv_table', 'dbt')(model, agate_table)) }}
{%- endmacro %}

{% macro reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
  {{ return(adapter.dispatch('reset_csv_table', 'dbt')(model, full_refresh, old_relation, agate_table)) }}
{%- endmacro %}

{% macro load_csv_rows(model, agate_table) -%}
  {{ return(adapter.dispatch('load_csv_rows', 'dbt')(model, agate_table)) }}
{%- endmacro %}

{% materialization seed, default %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set table = load_agate_table() -%}
  {%- do store_result('agate_table', response='OK', agate_table=table) -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- if existing is not none and existing.is_view -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
  {%- set create_sql = create_csv_table(model, table) -%}
  {%- set rows_sql = load_csv_rows(model, table) -%}
  {%- set count = table.rows | length -%}
  {%- call noop_statement('main', 'INSERT ' ~ count, 'INSERT', count) -%}
    {{ create_sql }};
    {{ rows_sql }}
  {%- endcall -%}
  {%- do create_indexes(target_relation) -%}
  {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
  {%- do persist_docs(target_relation, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# Columns in the file's order: types as inferred over the whole file, or as column_types says. #}
{% macro default__create_csv_table(model, agate_table) -%}
  {%- set chosen = config.get('column_types', {}) or {} -%}
  {%- set sql -%}
create or replace table {{ this.render() }} (
    {%- for name in agate_table.column_names %}
    {{ adapter.quote_seed_column(name, config.get('quote_columns')) }} {{ chosen.get(name) or adapter.convert_type(agate_table, loop.index0) }}{{ "," if not loop.last }}
    {%- endfor %}
)
  {%- endset -%}
  {%- call statement('create_csv_table') -%}
    {{ sql }}
  {%- endcall -%}
  {{ return(sql) }}
{%- endmacro %}

{% macro default__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
  {{ return(create_csv_table(model, agate_table)) }}
{%- endmacro %}

{% macro default__load_csv_rows(model, agate_table) -%}
  {%- set sql -%}
copy {{ this.render() }} from {{ dbt.string_literal(dbt.escape_single_quotes(adapter.get_seed_file_path(model))) }} (format csv, header true, delimiter '{{ config.get('delimiter') or ',' }}')
  {%- endset -%}
  {%- call statement('load_csv_rows') -%}
    {{ sql }}
  {%- endcall -%}
  {{ return(sql) }}
{%- endmacro %}

{% macro get_seed_column_quoted_csv(model, column_names) -%}
  {%- set quoted = [] -%}
  {%- for name in column_names -%}{%- do quoted.append(adapter.quote_seed_column(name, model['config'].get('quote_columns'))) -%}{%- endfor -%}
  {{ return(quoted | join(', ')) }}
{%- endmacro %}
