{% macro current_timestamp() -%}
  {{ return(adapter.dispatch('current_timestamp', 'dbt')()) }}
{%- endmacro %}

{% macro current_timestamp_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) }}
{%- endmacro %}

{% macro current_timestamp_in_utc_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_in_utc_backcompat', 'dbt')()) }}
{%- endmacro %}

{% macro convert_timezone(source_tz=none, target_tz=none, timestamp=none) -%}
  {{ return(adapter.dispatch('convert_timezone', 'dbt')(source_tz, target_tz, timestamp)) }}
{%- endmacro %}

{% macro default__current_timestamp() -%}current_timestamp{%- endmacro %}
{% macro default__current_timestamp_backcompat() -%}current_timestamp::timestamp{%- endmacro %}
{% macro default__current_timestamp_in_utc_backcompat() -%}(current_timestamp at time zone 'UTC'){%- endmacro %}

{% macro get_snapshot_get_time_data_type() -%}
  {%- set columns = get_column_schema_from_query("select " ~ snapshot_get_time() ~ " as t") -%}
  {{ return(columns[0].dtype or none) }}
{%- endmacro %}

{% macro py_current_timestring() -%}
  {{ return(modules.datetime.datetime.now().strftime("%H%M%S%f")) }}
{%- endmacro %}

{# Dates of a partition variable: "20240101", or "20240101,20240105" for all days between. #}
{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt="%Y%m%d", out_fmt="%Y%m%d") -%}
  {%- set start = modules.datetime.datetime.strptime(start_date_str, in_fmt) -%}
  {%- set end = modules.datetime.datetime.strptime(end_date_str or start_date_str, in_fmt) -%}
  {%- set out = [] -%}
  {%- for i in range((end - start).days + 1) -%}
    {%- do out.append((start + modules.datetime.timedelta(days=i)).strftime(out_fmt)) -%}
  {%- endfor -%}
  {{ return(out) }}
{%- endmacro %}

{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') -%}
  {%- set parts = (raw_partition_date | string).split(',') -%}
  {%- if parts | length > 2 -%}{{ exceptions.raise_compiler_error("a partition range is one date or two with a comma between, not: " ~ raw_partition_date) }}{%- endif -%}
  {{ return(dates_in_range(parts[0], parts[1] if parts | length == 2 else none, in_fmt=date_fmt)) }}
{%- endmacro %}

{% macro py_current_date_string() -%}
  {{ return(modules.datetime.datetime.now().strftime("%Y%m%d")) }}
{%- endmacro %}
