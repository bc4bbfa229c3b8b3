{% macro get_columns_in_relation(relation) -%}
  {{ return(adapter.dispatch('get_columns_in_relation', 'dbt')(relation)) }}
{%- endmacro %}

{% macro get_columns_in_query(select_sql) -%}
  {{ return(adapter.dispatch('get_columns_in_query', 'dbt')(select_sql)) }}
{%- endmacro %}

{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
  {{ return(adapter.dispatch('get_empty_subquery_sql', 'dbt')(select_sql, select_sql_header)) }}
{%- endmacro %}

{% macro get_empty_schema_sql(columns) -%}
  {{ return(adapter.dispatch('get_empty_schema_sql', 'dbt')(columns)) }}
{%- endmacro %}

{% macro alter_column_type(relation, column_name, new_column_type) -%}
  {{ return(adapter.dispatch('alter_column_type', 'dbt')(relation, column_name, new_column_type)) }}
{%- endmacro %}

{% macro alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) -%}
  {{ return(adapter.dispatch('alter_relation_add_remove_columns', 'dbt')(relation, add_columns, remove_columns)) }}
{%- endmacro %}

{% macro get_table_columns_and_constraints() -%}
  {{ return(adapter.dispatch('get_table_columns_and_constraints', 'dbt')()) }}
{%- endmacro %}

{% macro get_select_subquery(sql) -%}
  {{ return(adapter.dispatch('get_select_subquery', 'dbt')(sql)) }}
{%- endmacro %}

{% macro get_assert_columns_equivalent(sql) -%}
  {{ return(adapter.dispatch('get_assert_columns_equivalent', 'dbt')(sql)) }}
{%- endmacro %}

{% macro default__get_columns_in_relation(relation) -%}
  {%- call statement('get_columns_in_relation', fetch_result=True, auto_begin=False) -%}
select column_name, column_type as data_type, null as character_maximum_length, null as numeric_precision, null as numeric_scale
from (describe {{ relation.render() }})
  {%- endcall -%}
  {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{%- endmacro %}

{% macro sql_convert_columns_in_relation(table) -%}
  {%- set columns = [] -%}
  {%- for row in table.rows -%}
    {%- do columns.append(api.Column(row[0], row[1])) -%}
  {%- endfor -%}
  {{ return(columns) }}
{%- endmacro %}

{% macro default__get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
{{ select_sql_header if select_sql_header is not none }}
select * from (
{{ select_sql }}
) as __dbt_sbq
where false
limit 0
{%- endmacro %}

{% macro default__get_columns_in_query(select_sql) -%}
  {%- call statement('get_columns_in_query', fetch_result=True, auto_begin=False) -%}
    {{ get_empty_subquery_sql(select_sql) }}
  {%- endcall -%}
  {{ return(load_result('get_columns_in_query').table.columns | map(attribute='name') | list) }}
{%- endmacro %}

{# Columns with types that a query gives, without running it. #}
{% macro get_column_schema_from_query(select_sql, select_sql_header=none) -%}
  {%- call statement('get_column_schema_from_query', fetch_result=True, auto_begin=False) -%}
select column_name, column_type from (describe {{ get_empty_subquery_sql(select_sql, select_sql_header) }})
  {%- endcall -%}
  {%- set columns = [] -%}
  {%- for row in load_result('get_column_schema_from_query').table.rows -%}
    {%- do columns.append(api.Column(row[0], row[1])) -%}
  {%- endfor -%}
  {{ return(columns) }}
{%- endmacro %}

{% macro default__get_empty_schema_sql(columns) -%}
select
  {%- for column in columns.values() %}
  cast(null as {{ column.data_type }}) as {{ adapter.quote(column.name) if column.quote else column.name }}{{ "," if not loop.last }}
  {%- endfor %}
{%- endmacro %}

{% macro get_list_of_column_names(columns) -%}
  {{ return(columns | map(attribute='name') | list) }}
{%- endmacro %}

{% macro get_quoted_csv(column_names) -%}
  {%- set quoted = [] -%}
  {%- for name in column_names -%}{%- do quoted.append(adapter.quote(name)) -%}{%- endfor -%}
  {{ return(quoted | join(', ')) }}
{%- endmacro %}

{# Columns of the first that the second lacks, without case. #}
{% macro diff_columns(source_columns, target_columns) -%}
  {%- set there = target_columns | map(attribute='name') | map('lower') | list -%}
  {%- set missing = [] -%}
  {%- for column in source_columns if column.name | lower not in there -%}{%- do missing.append(column) -%}{%- endfor -%}
  {{ return(missing) }}
{%- endmacro %}

{% macro diff_column_data_types(source_columns, target_columns) -%}
  {%- set changed = [] -%}
  {%- for source in source_columns -%}
    {%- for target in target_columns if target.name | lower == source.name | lower and target.data_type != source.data_type and not target.can_expand_to(other_column=source) -%}
      {%- do changed.append({'column_name': target.name, 'new_type': source.data_type}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(changed) }}
{%- endmacro %}

{% macro default__alter_column_type(relation, column_name, new_column_type) -%}
  {%- do run_query("alter table " ~ relation.render() ~ " alter column " ~ adapter.quote(column_name) ~ " set data type " ~ new_column_type) -%}
{%- endmacro %}

{% macro default__alter_relation_add_remove_columns(relation, add_columns, remove_columns) -%}
  {%- for column in add_columns or [] -%}
    {%- do run_query("alter table " ~ relation.render() ~ " add column " ~ adapter.quote(column.name) ~ " " ~ column.data_type) -%}
  {%- endfor -%}
  {%- for column in remove_columns or [] -%}
    {%- do run_query("alter table " ~ relation.render() ~ " drop column " ~ adapter.quote(column.name)) -%}
  {%- endfor -%}
{%- endmacro %}

{# Contracts: the declared columns, with the constraints that the target enforces. #}
{% macro default__get_table_columns_and_constraints() -%}
(
  {%- for column in model['columns'].values() %}
    {{ adapter.quote(column['name']) if column.get('quote') else column['name'] }} {{ column['data_type'] }}
    {%- for constraint in column.get('constraints') or [] if constraint['type'] == 'not_null' %} not null{% endfor %}
    {{- "," if not loop.last }}
  {%- endfor %}
)
{%- endmacro %}

{% macro default__get_select_subquery(sql) -%}
select
  {%- for column in model['columns'].values() %}
  {{ adapter.quote(column['name']) if column.get('quote') else column['name'] }}{{ "," if not loop.last }}
  {%- endfor %}
from (
{{ sql }}
) as model_subq
{%- endmacro %}

{% macro default__get_assert_columns_equivalent(sql) -%}
  {%- set declared = model['columns'] -%}
  {%- set wanted = {} -%}
  {%- for column in declared.values() -%}
    {%- if not column.get('data_type') -%}
      {{ exceptions.raise_compiler_error("the contract of " ~ model['name'] ~ " needs a data_type for column '" ~ column['name'] ~ "'") }}
    {%- endif -%}
  {%- endfor -%}
  {%- for column in get_column_schema_from_query(get_empty_schema_sql(declared)) -%}{%- do wanted.update({column.name | lower: column.data_type}) -%}{%- endfor -%}
  {%- set problems = [] -%}
  {%- set seen = [] -%}
  {%- for column in get_column_schema_from_query(sql, config.get('sql_header')) -%}
    {%- do seen.append(column.name | lower) -%}
    {%- if column.name | lower not in wanted -%}
      {%- do problems.append("column '" ~ column.name ~ "' is not in the contract") -%}
    {%- elif wanted[column.name | lower] != column.data_type -%}
      {%- do problems.append("column '" ~ column.name ~ "' is " ~ column.data_type ~ ", the contract says " ~ wanted[column.name | lower]) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for name in wanted if name not in seen -%}{%- do problems.append("column '" ~ name ~ "' is missing") -%}{%- endfor -%}
  {%- if problems -%}
    {{ exceptions.raise_compiler_error("the model does not keep its contract: " ~ problems | join('; ')) }}
  {%- endif -%}
{%- endmacro %}
