{% macro get_incremental_append_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_append_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_incremental_delete_insert_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_delete_insert_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_incremental_merge_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_merge_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_incremental_insert_overwrite_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_insert_overwrite_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_incremental_microbatch_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_microbatch_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_incremental_default_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_default_sql', 'dbt')(arg_dict)) }}
{%- endmacro %}

{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {{ return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{%- endmacro %}

{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {{ return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{%- endmacro %}

{% macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {{ return(adapter.dispatch('get_merge_update_columns', 'dbt')(merge_update_columns, merge_exclude_columns, dest_columns)) }}
{%- endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) -%}
  {{ return(adapter.dispatch('check_for_schema_changes', 'dbt')(source_relation, target_relation)) }}
{%- endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {{ return(adapter.dispatch('sync_column_schemas', 'dbt')(on_schema_change, target_relation, schema_changes_dict)) }}
{%- endmacro %}

{% macro process_schema_changes(on_schema_change, source_relation, target_relation) -%}
  {{ return(adapter.dispatch('process_schema_changes', 'dbt')(on_schema_change, source_relation, target_relation)) }}
{%- endmacro %}

{% macro incremental_source_kind(strategy, on_schema_change) -%}
  {{ return(adapter.dispatch('incremental_source_kind', 'dbt')(strategy, on_schema_change)) }}
{%- endmacro %}

{% materialization incremental, default %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set on_schema_change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
  {%- set strategy = config.get('incremental_strategy') or 'default' -%}
  {%- set whole = existing is none or existing.is_view or should_full_refresh() -%}
  {%- set source = none -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- if whole -%}
    {%- if existing is not none and existing.is_view -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- set build_sql = get_create_table_as_sql(False, target_relation, sql) -%}
  {%- else -%}
    {%- set source = make_temp_relation(target_relation) -%}
    {%- if incremental_source_kind(strategy, on_schema_change) == 'view' -%}
      {%- do run_query("create or replace temporary view " ~ source.render() ~ " as (\n" ~ sql ~ "\n)") -%}
    {%- else -%}
      {%- do run_query(create_table_as(True, source, sql)) -%}
    {%- endif -%}
    {%- do adapter.expand_target_column_types(from_relation=source, to_relation=target_relation) -%}
    {%- set columns = process_schema_changes(on_schema_change, source, existing) -%}
    {%- if not columns -%}{%- set columns = adapter.get_columns_in_relation(existing) -%}{%- endif -%}
    {%- set strategy_sql = adapter.get_incremental_strategy_macro(context, strategy) -%}
    {%- set build_sql = strategy_sql({
      'target_relation': target_relation, 'temp_relation': source, 'unique_key': config.get('unique_key'), 'dest_columns': columns,
      'incremental_predicates': config.get('predicates') or config.get('incremental_predicates')}) -%}
  {%- endif -%}
  {%- call statement('main') -%}
    {{ build_sql }}
  {%- endcall -%}
  {%- if whole -%}{%- do create_indexes(target_relation) -%}{%- endif -%}
  {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
  {%- do persist_docs(target_relation, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {%- if source is not none -%}
    {%- do run_query("drop " ~ incremental_source_kind(strategy, on_schema_change) ~ " if exists " ~ source.render()) -%}
  {%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A strategy that reads its source once can read it through a view; others need the rows kept. #}
{% macro default__incremental_source_kind(strategy, on_schema_change) -%}
  {{ return('view' if strategy in ['append', 'merge'] and on_schema_change == 'ignore' else 'table') }}
{%- endmacro %}

{% macro default__get_incremental_append_sql(arg_dict) -%}
{%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name') | list) -%}
insert into {{ arg_dict['target_relation'] }} ({{ columns }}) (
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
)
{%- endmacro %}

{% macro default__get_incremental_merge_sql(arg_dict) -%}
  {{ return(get_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) }}
{%- endmacro %}

{% macro default__get_incremental_delete_insert_sql(arg_dict) -%}
  {{ return(get_delete_insert_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) }}
{%- endmacro %}

{% macro default__get_incremental_default_sql(arg_dict) -%}
  {%- if arg_dict['unique_key'] -%}{{ return(get_incremental_delete_insert_sql(arg_dict)) }}{%- endif -%}
  {{ return(get_incremental_append_sql(arg_dict)) }}
{%- endmacro %}

{% macro default__get_incremental_insert_overwrite_sql(arg_dict) -%}
  {{ exceptions.raise_compiler_error("the incremental strategy 'insert_overwrite' is not supported by the " ~ adapter.type() ~ " target; use append, merge or delete+insert") }}
{%- endmacro %}

{% macro default__get_incremental_microbatch_sql(arg_dict) -%}
  {{ exceptions.raise_compiler_error("the incremental strategy 'microbatch' is not supported; use append, merge or delete+insert") }}
{%- endmacro %}

{# Equality of the key's columns between target and source. #}
{% macro unique_key_equality(unique_key, target, source) -%}
  {%- set keys = [unique_key] if unique_key is string else unique_key -%}
  {%- set parts = [] -%}
  {%- for key in keys -%}{%- do parts.append(target ~ '.' ~ key ~ ' = ' ~ source ~ '.' ~ key) -%}{%- endfor -%}
  {{ return(parts | join(' and ')) }}
{%- endmacro %}

{% macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
{%- if not unique_key -%}
  {{ exceptions.raise_compiler_error("the incremental strategy 'merge' needs unique_key") }}
{%- endif -%}
{%- set names = dest_columns | map(attribute='name') | list -%}
{%- set updates = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
merge into {{ target }} as DBT_INTERNAL_DEST
using {{ source }} as DBT_INTERNAL_SOURCE
on ({{ unique_key_equality(unique_key, 'DBT_INTERNAL_SOURCE', 'DBT_INTERNAL_DEST') }})
{%- for predicate in incremental_predicates or [] %} and ({{ predicate }}){% endfor %}
{%- if updates %}
when matched then update set
  {%- for column in updates %}
  {{ column }} = DBT_INTERNAL_SOURCE.{{ column }}{{ "," if not loop.last }}
  {%- endfor %}
{%- endif %}
when not matched then insert ({{ get_quoted_csv(names) }})
values (
  {%- for name in names %}DBT_INTERNAL_SOURCE.{{ adapter.quote(name) }}{{ ", " if not loop.last }}{% endfor -%}
)
{%- endmacro %}

{% macro default__get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {%- if merge_update_columns and merge_exclude_columns -%}
    {{ exceptions.raise_compiler_error("a model cannot have both merge_update_columns and merge_exclude_columns") }}
  {%- endif -%}
  {%- if merge_update_columns -%}{{ return(merge_update_columns) }}{%- endif -%}
  {%- set left_out = (merge_exclude_columns or []) | map('lower') | list -%}
  {%- set chosen = [] -%}
  {%- for column in dest_columns if column.name | lower not in left_out -%}{%- do chosen.append(adapter.quote(column.name)) -%}{%- endfor -%}
  {{ return(chosen) }}
{%- endmacro %}

{% macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
{%- set columns = get_quoted_csv(dest_columns | map(attribute='name') | list) -%}
{#- Predicates may name the target's rows: by DBT_INCREMENTAL_TARGET when the key is a list, by the table itself when it is one column. #}
{%- if unique_key and unique_key is not string %}
delete from {{ target }} as DBT_INCREMENTAL_TARGET
using {{ source }}
where {{ unique_key_equality(unique_key, 'DBT_INCREMENTAL_TARGET', source) }}
{%- for predicate in incremental_predicates or [] %} and ({{ predicate }}){% endfor %};
{% elif unique_key %}
delete from {{ target }}
where ({{ unique_key }}) in (select ({{ unique_key }}) from {{ source }})
{%- for predicate in incremental_predicates or [] %} and ({{ predicate }}){% endfor %};
{% endif %}
insert into {{ target }} ({{ columns }}) (
    select {{ columns }}
    from {{ source }}
)
{%- endmacro %}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') -%}
  {%- if on_schema_change in ['sync_all_columns', 'append_new_columns', 'fail', 'ignore'] -%}{{ return(on_schema_change) }}{%- endif -%}
  {%- if on_schema_change is not none -%}
    {%- do exceptions.warn("on_schema_change cannot be '" ~ on_schema_change ~ "': it is one of ignore, fail, append_new_columns, sync_all_columns; '" ~ default ~ "' is used") -%}
  {%- endif -%}
  {{ return(default) }}
{%- endmacro %}

{% macro default__check_for_schema_changes(source_relation, target_relation) -%}
  {%- set source_columns = adapter.get_columns_in_relation(source_relation) -%}
  {%- set target_columns = adapter.get_columns_in_relation(target_relation) -%}
  {%- set added = diff_columns(source_columns, target_columns) -%}
  {%- set removed = diff_columns(target_columns, source_columns) -%}
  {%- set retyped = diff_column_data_types(source_columns, target_columns) -%}
  {{ return({
    'schema_changed': added != [] or removed != [] or retyped != [],
    'source_not_in_target': added, 'target_not_in_source': removed, 'new_target_types': retyped,
    'source_columns': source_columns, 'target_columns': target_columns}) }}
{%- endmacro %}

{% macro default__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {%- set added = schema_changes_dict['source_not_in_target'] -%}
  {%- set removed = schema_changes_dict['target_not_in_source'] if on_schema_change == 'sync_all_columns' else [] -%}
  {%- if added or removed -%}{%- do alter_relation_add_remove_columns(target_relation, added, removed) -%}{%- endif -%}
  {%- if on_schema_change == 'sync_all_columns' -%}
    {%- for change in schema_changes_dict['new_target_types'] -%}
      {%- do alter_column_type(target_relation, change['column_name'], change['new_type']) -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{# The columns to write, or nothing when the table's own are to be taken. #}
{% macro default__process_schema_changes(on_schema_change, source_relation, target_relation) -%}
  {%- if on_schema_change == 'ignore' -%}{{ return({}) }}{%- endif -%}
  {%- set changes = check_for_schema_changes(source_relation, target_relation) -%}
  {%- if changes['schema_changed'] -%}
    {%- if on_schema_change == 'fail' -%}
      {%- set lines = [] -%}
      {%- for column in changes['source_not_in_target'] -%}{%- do lines.append("new: " ~ column.name) -%}{%- endfor -%}
      {%- for column in changes['target_not_in_source'] -%}{%- do lines.append("gone: " ~ column.name) -%}{%- endfor -%}
      {%- for change in changes['new_target_types'] -%}{%- do lines.append("another type: " ~ change['column_name'] ~ " is now " ~ change['new_type']) -%}{%- endfor -%}
      {{ exceptions.raise_compiler_error("the model's columns differ from those of its table (" ~ lines | join('; ') ~ "); run it with --full-refresh, or set on_schema_change to append_new_columns or sync_all_columns") }}
    {%- endif -%}
    {%- do sync_column_schemas(on_schema_change, target_relation, changes) -%}
  {%- endif -%}
  {{ return(changes['source_columns']) }}
{%- endmacro %}
