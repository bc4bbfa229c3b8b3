{# "Now" of a run that is about an interval is the interval's end, so that a late run gives the same rows; without one, the clock. #}
{% macro quern__snapshot_get_time() -%}
  {%- set end = var('data_interval_end', none) -%}
  {%- if end is not none -%}
(timestamptz '{{ end }}' at time zone 'UTC')
  {%- else -%}
(now() at time zone 'UTC')
  {%- endif -%}
{%- endmacro %}

{# Delta's partition columns and table properties. #}
{% macro quern__table_properties_sql() -%}
  {%- set columns = config.get('partition_by') -%}
  {%- set properties = config.get('table_properties') or {} -%}
  {%- set out = '' -%}
  {%- if columns -%}
    {%- set names = [columns] if columns is string else columns -%}
    {%- set out = out ~ '\npartitioned by (' ~ get_quoted_csv(names) ~ ')' -%}
  {%- endif -%}
  {%- if properties -%}
    {%- set pairs = [] -%}
    {%- for key, value in properties.items() -%}{%- do pairs.append("'" ~ key ~ "' = '" ~ (value | string | replace("'", "''")) ~ "'") -%}{%- endfor -%}
    {%- set out = out ~ '\nwith (' ~ pairs | join(', ') ~ ')' -%}
  {%- endif -%}
  {{ return(out) }}
{%- endmacro %}

{# Delta tables without column mapping cannot drop a column in place: the table is written anew with the columns that stay, its history kept. #}
{% macro quern__alter_relation_add_remove_columns(relation, add_columns, remove_columns) -%}
  {%- if remove_columns -%}
    {%- set gone = remove_columns | map(attribute='name') | map('lower') | list -%}
    {%- set parts = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) if column.name | lower not in gone -%}{%- do parts.append(adapter.quote(column.name)) -%}{%- endfor -%}
    {%- for column in add_columns or [] -%}{%- do parts.append("cast(null as " ~ column.data_type ~ ") as " ~ adapter.quote(column.name)) -%}{%- endfor -%}
    {%- do run_query("create or replace table " ~ relation.render() ~ table_properties_sql() ~ " as select " ~ parts | join(', ') ~ " from " ~ relation.render()) -%}
  {%- else -%}
    {{ default__alter_relation_add_remove_columns(relation, add_columns, remove_columns) }}
  {%- endif -%}
{%- endmacro %}
