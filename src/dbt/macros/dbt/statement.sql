{# Runs the caller's SQL; load_result(name) gives what it answered. #}
{% macro statement(name=None, fetch_result=False, auto_begin=True, language='sql') -%}
  {%- if execute -%}
    {%- set code = caller() -%}
    {%- if name == 'main' -%}
      {%- do write(code) -%}
    {%- endif -%}
    {%- set response, table = adapter.execute(code, auto_begin=auto_begin, fetch=fetch_result) -%}
    {%- if name is not none -%}
      {%- do store_result(name, response=response, agate_table=table) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}

{# Stands for a statement that was not needed. #}
{% macro noop_statement(name=None, message=None, code=None, rows_affected=None, res=None) -%}
  {%- set code = caller() -%}
  {%- if name == 'main' -%}{%- do write(code) -%}{%- endif -%}
  {%- if name is not none -%}
    {%- do store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) -%}
  {%- endif -%}
{%- endmacro %}

{# Runs SQL and gives its rows as a table. #}
{% macro run_query(sql) -%}
  {%- call statement("run_query_statement", fetch_result=True, auto_begin=False) -%}
    {{ sql }}
  {%- endcall -%}
  {{ return(load_result("run_query_statement").table) }}
{%- endmacro %}
