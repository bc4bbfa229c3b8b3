{% macro snapshot_hash_arguments(args) -%}
  {{ return(adapter.dispatch('snapshot_hash_arguments', 'dbt')(args)) }}
{%- endmacro %}

{% macro snapshot_get_time() -%}
  {{ return(adapter.dispatch('snapshot_get_time', 'dbt')()) }}
{%- endmacro %}

{% macro snapshot_string_as_time(timestamp) -%}
  {{ return(adapter.dispatch('snapshot_string_as_time', 'dbt')(timestamp)) }}
{%- endmacro %}

{% macro snapshot_staging_table(strategy, source_sql, target_relation) -%}
  {{ return(adapter.dispatch('snapshot_staging_table', 'dbt')(strategy, source_sql, target_relation)) }}
{%- endmacro %}

{% macro build_snapshot_table(strategy, sql) -%}
  {{ return(adapter.dispatch('build_snapshot_table', 'dbt')(strategy, sql)) }}
{%- endmacro %}

{% macro snapshot_merge_sql(target, source, insert_cols) -%}
  {{ return(adapter.dispatch('snapshot_merge_sql', 'dbt')(target, source, insert_cols)) }}
{%- endmacro %}

{% macro create_columns(relation, columns) -%}
  {{ return(adapter.dispatch('create_columns', 'dbt')(relation, columns)) }}
{%- endmacro %}

{% macro post_snapshot(staging_relation) -%}
  {{ return(adapter.dispatch('post_snapshot', 'dbt')(staging_relation)) }}
{%- endmacro %}

{% macro get_true_sql() -%}
  {{ return(adapter.dispatch('get_true_sql', 'dbt')()) }}
{%- endmacro %}

{% materialization snapshot, default %}
  {%- set there, target_relation = get_or_create_relation(database=model.database, schema=model.schema, identifier=model.get('alias', model.get('name')), type='table') -%}
  {%- if not target_relation.is_table -%}{%- do exceptions.relation_wrong_type(target_relation, 'table') -%}{%- endif -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- set strategy_macro = strategy_dispatch(config.get('strategy')) -%}
  {%- set strategy = strategy_macro(model, "snapshotted_data", "source_data", model['config'], there) -%}
  {%- set staging = none -%}
  {%- if not there -%}
    {%- set final_sql = create_table_as(False, target_relation, build_snapshot_table(strategy, sql)) -%}
  {%- else -%}
    {%- set columns = config.get("snapshot_table_column_names") or get_snapshot_table_column_names() -%}
    {%- do adapter.assert_valid_snapshot_target_given_strategy(target_relation, columns, strategy) -%}
    {%- set staging = build_snapshot_staging_table(strategy, sql, target_relation) -%}
    {%- do adapter.expand_target_column_types(from_relation=staging, to_relation=target_relation) -%}
    {%- set own = ['dbt_change_type', 'dbt_unique_key'] -%}
    {%- if config.get('unique_key') is sequence and config.get('unique_key') is not string -%}
      {%- for key in config.get('unique_key') -%}{%- do own.append('dbt_unique_key_' ~ loop.index) -%}{%- endfor -%}
    {%- endif -%}
    {%- do create_columns(target_relation, adapter.get_missing_columns(staging, target_relation) | rejectattr('name', 'in', own) | list) -%}
    {%- set quoted = [] -%}
    {%- for column in adapter.get_columns_in_relation(staging) if column.name not in own -%}{%- do quoted.append(adapter.quote(column.name)) -%}{%- endfor -%}
    {%- set final_sql = snapshot_merge_sql(target=target_relation, source=staging, insert_cols=quoted) -%}
  {%- endif -%}
  {%- call statement('main') -%}
    {{ final_sql }}
  {%- endcall -%}
  {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
  {%- do persist_docs(target_relation, model) -%}
  {%- if not there -%}{%- do create_indexes(target_relation) -%}{%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {%- if staging is not none -%}{%- do post_snapshot(staging) -%}{%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro default__get_true_sql() -%}{{ return('TRUE') }}{%- endmacro %}

{% macro default__snapshot_get_time() -%}{{ current_timestamp() }}{%- endmacro %}

{% macro default__snapshot_string_as_time(timestamp) -%}{{ return("'" ~ timestamp ~ "'::timestamp") }}{%- endmacro %}

{% macro default__snapshot_hash_arguments(args) -%}
md5({% for arg in args %}coalesce(cast({{ arg }} as varchar), ''){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro get_snapshot_table_column_names() -%}
  {{ return({'dbt_valid_to': 'dbt_valid_to', 'dbt_valid_from': 'dbt_valid_from', 'dbt_scd_id': 'dbt_scd_id', 'dbt_updated_at': 'dbt_updated_at', 'dbt_is_deleted': 'dbt_is_deleted'}) }}
{%- endmacro %}

{# The macro snapshot_<name>_strategy, of the project or of a package ("package.name"). #}
{% macro strategy_dispatch(name) -%}
  {%- if not name -%}{{ exceptions.raise_compiler_error("the snapshot needs a strategy: timestamp or check") }}{%- endif -%}
  {%- set parts = name.split('.', 1) -%}
  {%- set names = context -%}
  {%- if parts | length > 1 -%}
    {%- if parts[0] not in context -%}{{ exceptions.raise_compiler_error("there is no package '" ~ parts[0] ~ "' for the snapshot strategy '" ~ name ~ "'") }}{%- endif -%}
    {%- set names = context[parts[0]] -%}
  {%- endif -%}
  {%- set macro_name = 'snapshot_' ~ parts[-1] ~ '_strategy' -%}
  {%- if macro_name not in names -%}{{ exceptions.raise_compiler_error("there is no snapshot strategy '" ~ name ~ "' (a macro " ~ macro_name ~ "); built in are timestamp and check") }}{%- endif -%}
  {{ return(names[macro_name]) }}
{%- endmacro %}

{% macro snapshot_timestamp_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) -%}
  {%- set columns = config.get("snapshot_table_column_names") or get_snapshot_table_column_names() -%}
  {%- set updated_at = config.get('updated_at') -%}
  {%- if not updated_at -%}{{ exceptions.raise_compiler_error("the snapshot strategy 'timestamp' needs updated_at") }}{%- endif -%}
  {{ return(snapshot_strategy(updated_at, "(" ~ snapshotted_rel ~ "." ~ columns.dbt_valid_from ~ " < " ~ current_rel ~ "." ~ updated_at ~ ")")) }}
{%- endmacro %}

{% macro snapshot_check_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) -%}
  {%- set updated_at = config.get('updated_at') or snapshot_get_time() | trim -%}
  {%- set added, columns = snapshot_check_all_get_existing_columns(node, target_exists, config.get('check_cols')) -%}
  {%- set parts = [] -%}
  {%- if added -%}
    {%- do parts.append(get_true_sql()) -%}
  {%- else -%}
    {%- for column in columns or [] -%}
      {%- do parts.append(snapshotted_rel ~ '.' ~ column ~ ' is distinct from ' ~ current_rel ~ '.' ~ column) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(snapshot_strategy(updated_at, '(' ~ parts | join(' or ') ~ ')')) }}
{%- endmacro %}

{# What the staging query needs to know. #}
{% macro snapshot_strategy(updated_at, row_changed) -%}
  {%- set unique_key = config.get('unique_key') -%}
  {%- if not unique_key -%}{{ exceptions.raise_compiler_error("the snapshot needs unique_key") }}{%- endif -%}
  {%- set hard_deletes = adapter.get_hard_deletes_behavior(config) -%}
  {{ return({
    'unique_key': unique_key, 'updated_at': updated_at, 'row_changed': row_changed,
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(unique_key, updated_at)),
    'invalidate_hard_deletes': hard_deletes == 'invalidate', 'hard_deletes': hard_deletes}) }}
{%- endmacro %}

{# (whether the query has a column that the table lacks, the columns to compare, quoted) #}
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) -%}
  {%- if check_cols_config == 'all' -%}
    {%- set query = node['compiled_code'] -%}
  {%- elif check_cols_config is sequence and check_cols_config is not string and check_cols_config | length > 0 -%}
    {%- set query = "select " ~ check_cols_config | join(', ') ~ " from (\n" ~ node['compiled_code'] ~ "\n) subq" -%}
  {%- else -%}
    {{ exceptions.raise_compiler_error("check_cols must be 'all' or a list of columns, not " ~ check_cols_config) }}
  {%- endif -%}
  {%- if not target_exists -%}{{ return([false, []]) }}{%- endif -%}
  {%- set target = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) -%}
  {%- set there = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
  {%- set found = namespace(added=false) -%}
  {%- set both = [] -%}
  {%- for column in get_columns_in_query(query) -%}
    {%- if column in there -%}{%- do both.append(adapter.quote(column)) -%}{%- else -%}{%- set found.added = true -%}{%- endif -%}
  {%- endfor -%}
  {{ return([found.added, both]) }}
{%- endmacro %}

{# The open end of a row that is true now, typed like updated_at. #}
{% macro get_dbt_valid_to_current(strategy, columns) -%}
coalesce(nullif({{ strategy.updated_at }}, {{ strategy.updated_at }}), {{ config.get('dbt_valid_to_current') or 'null' }}) as {{ columns.dbt_valid_to }}
{%- endmacro %}

{% macro snapshot_keys(unique_key) -%}
  {{ return([unique_key] if unique_key is string else unique_key) }}
{%- endmacro %}

{% macro unique_key_fields(unique_key) -%}
  {%- if unique_key is string -%}
{{ unique_key }} as dbt_unique_key
  {%- else -%}
    {%- for key in unique_key %}{{ key }} as dbt_unique_key_{{ loop.index }}{{ ", " if not loop.last }}{% endfor -%}
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_join_on(unique_key, identifier, from_identifier) -%}
  {%- if unique_key is string -%}
{{ identifier }}.dbt_unique_key = {{ from_identifier }}.dbt_unique_key
  {%- else -%}
    {%- for key in unique_key %}{{ identifier }}.dbt_unique_key_{{ loop.index }} = {{ from_identifier }}.dbt_unique_key_{{ loop.index }}{{ " and " if not loop.last }}{% endfor -%}
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_is_null(unique_key, identifier) -%}
{{ identifier }}.dbt_unique_key{{ '' if unique_key is string else '_1' }} is null
{%- endmacro %}

{% macro unique_key_is_not_null(unique_key, identifier) -%}
{{ identifier }}.dbt_unique_key{{ '' if unique_key is string else '_1' }} is not null
{%- endmacro %}

{% macro default__build_snapshot_table(strategy, sql) -%}
{%- set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
select
    *,
    {{ strategy.scd_id }} as {{ columns.dbt_scd_id }},
    {{ strategy.updated_at }} as {{ columns.dbt_updated_at }},
    {{ strategy.updated_at }} as {{ columns.dbt_valid_from }},
    {{ get_dbt_valid_to_current(strategy, columns) }}
    {%- if strategy.hard_deletes == 'new_record' %},
    'False' as {{ columns.dbt_is_deleted }}
    {%- endif %}
from (
{{ sql }}
) sbq
{%- endmacro %}

{# Rows to insert (new and changed keys) and rows to close (changed and vanished keys), told apart by dbt_change_type. #}
{% macro default__snapshot_staging_table(strategy, source_sql, target_relation) -%}
{%- set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
{%- set keys = strategy.unique_key -%}
{%- set marked = strategy.hard_deletes == 'new_record' -%}
{%- set deletes = strategy.hard_deletes in ['invalidate', 'new_record'] -%}
{%- set current = config.get('dbt_valid_to_current') -%}
{%- set now = snapshot_get_time() | trim -%}
with snapshot_query as (
{{ source_sql }}
),
snapshotted_data as (
    select *, {{ unique_key_fields(keys) }}
    from {{ target_relation }}
    where {{ "(" ~ columns.dbt_valid_to ~ " = " ~ current ~ " or " ~ columns.dbt_valid_to ~ " is null)" if current else columns.dbt_valid_to ~ " is null" }}
),
insertions_source_data as (
    select *, {{ unique_key_fields(keys) }},
        {{ strategy.updated_at }} as {{ columns.dbt_updated_at }},
        {{ strategy.updated_at }} as {{ columns.dbt_valid_from }},
        {{ get_dbt_valid_to_current(strategy, columns) }},
        {{ strategy.scd_id }} as {{ columns.dbt_scd_id }}
    from snapshot_query
),
updates_source_data as (
    select *, {{ unique_key_fields(keys) }},
        {{ strategy.updated_at }} as {{ columns.dbt_updated_at }},
        {{ strategy.updated_at }} as {{ columns.dbt_valid_from }},
        {{ strategy.updated_at }} as {{ columns.dbt_valid_to }}
    from snapshot_query
),
{%- if deletes %}
deletes_source_data as (
    select *, {{ unique_key_fields(keys) }}
    from snapshot_query
),
{%- endif %}
insertions as (
    select 'insert' as dbt_change_type, source_data.*{{ ", 'False' as " ~ columns.dbt_is_deleted if marked }}
    from insertions_source_data as source_data
    left join snapshotted_data on {{ unique_key_join_on(keys, 'snapshotted_data', 'source_data') }}
    where {{ unique_key_is_null(keys, 'snapshotted_data') }}
       or {{ strategy.row_changed }}{{ " or snapshotted_data." ~ columns.dbt_is_deleted ~ " = 'True'" if marked }}
),
updates as (
    select 'update' as dbt_change_type, source_data.*, snapshotted_data.{{ columns.dbt_scd_id }}{{ ", snapshotted_data." ~ columns.dbt_is_deleted if marked }}
    from updates_source_data as source_data
    join snapshotted_data on {{ unique_key_join_on(keys, 'snapshotted_data', 'source_data') }}
    where {{ strategy.row_changed }}{{ " or snapshotted_data." ~ columns.dbt_is_deleted ~ " = 'True'" if marked }}
)
{%- if deletes %},
deletes as (
    select 'delete' as dbt_change_type, source_data.*,
        {{ now }} as {{ columns.dbt_valid_from }},
        {{ now }} as {{ columns.dbt_updated_at }},
        {{ now }} as {{ columns.dbt_valid_to }},
        snapshotted_data.{{ columns.dbt_scd_id }}{{ ", snapshotted_data." ~ columns.dbt_is_deleted if marked }}
    from snapshotted_data
    left join deletes_source_data as source_data on {{ unique_key_join_on(keys, 'snapshotted_data', 'source_data') }}
    where {{ unique_key_is_null(keys, 'source_data') }}{{ " and snapshotted_data." ~ columns.dbt_is_deleted ~ " is distinct from 'True'" if marked }}
)
{%- endif %}
{%- if marked %},
deletion_records as (
    select 'insert' as dbt_change_type,
        {%- set there = get_list_of_column_names(adapter.get_columns_in_relation(target_relation)) %}
        {%- for column in get_columns_in_query(source_sql) %}
        {{ 'snapshotted_data' if column in there else 'source_data' }}.{{ adapter.quote(column) }},
        {%- endfor %}
        {%- for key in snapshot_keys(keys) %}
        {%- set name = 'dbt_unique_key' if keys is string else 'dbt_unique_key_' ~ loop.index %}
        snapshotted_data.{{ name }} as {{ name }},
        {%- endfor %}
        {{ now }} as {{ columns.dbt_updated_at }},
        {{ now }} as {{ columns.dbt_valid_from }},
        snapshotted_data.{{ columns.dbt_valid_to }} as {{ columns.dbt_valid_to }},
        {{ snapshot_hash_arguments(['snapshotted_data.' ~ columns.dbt_scd_id, now]) }} as {{ columns.dbt_scd_id }},
        'True' as {{ columns.dbt_is_deleted }}
    from snapshotted_data
    left join deletes_source_data as source_data on {{ unique_key_join_on(keys, 'snapshotted_data', 'source_data') }}
    where {{ unique_key_is_null(keys, 'source_data') }} and snapshotted_data.{{ columns.dbt_is_deleted }} is distinct from 'True'
)
{%- endif %}
select * from insertions
union all by name
select * from updates
{%- if deletes %}
union all by name
select * from deletes
{%- endif %}
{%- if marked %}
union all by name
select * from deletion_records
{%- endif %}
{%- endmacro %}

{% macro build_snapshot_staging_table(strategy, sql, target_relation) -%}
  {%- set staging = make_temp_relation(target_relation) -%}
  {%- set rows_sql = snapshot_staging_table(strategy, sql, target_relation) -%}
  {%- call statement('build_snapshot_staging_relation') -%}
    {{ create_table_as(True, staging, rows_sql) }}
  {%- endcall -%}
  {{ return(staging) }}
{%- endmacro %}

{% macro default__create_columns(relation, columns) -%}
  {%- for column in columns -%}
    {%- call statement() -%}
alter table {{ relation.render() }} add column {{ adapter.quote(column.name) }} {{ column.data_type }}
    {%- endcall -%}
  {%- endfor -%}
{%- endmacro %}

{% macro default__post_snapshot(staging_relation) -%}
  {%- do run_query("drop table if exists " ~ staging_relation.render()) -%}
{%- endmacro %}

{% macro default__snapshot_merge_sql(target, source, insert_cols) -%}
{%- set columns = config.get("snapshot_table_column_names") or get_snapshot_table_column_names() -%}
{%- set current = config.get('dbt_valid_to_current') -%}
merge into {{ target.render() }} as DBT_INTERNAL_DEST
using {{ source.render() }} as DBT_INTERNAL_SOURCE
on DBT_INTERNAL_SOURCE.{{ columns.dbt_scd_id }} = DBT_INTERNAL_DEST.{{ columns.dbt_scd_id }} and DBT_INTERNAL_SOURCE.dbt_change_type in ('update', 'delete')
when matched and ({{ "DBT_INTERNAL_DEST." ~ columns.dbt_valid_to ~ " = " ~ current ~ " or " if current }}DBT_INTERNAL_DEST.{{ columns.dbt_valid_to }} is null)
    then update set {{ columns.dbt_valid_to }} = DBT_INTERNAL_SOURCE.{{ columns.dbt_valid_to }}
when not matched and DBT_INTERNAL_SOURCE.dbt_change_type = 'insert'
    then insert ({{ insert_cols | join(', ') }})
    values ({% for column in insert_cols %}DBT_INTERNAL_SOURCE.{{ column }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
