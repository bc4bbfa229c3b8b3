{% macro run_hooks(hooks, inside_transaction=True) -%}
  {%- for hook in hooks | selectattr('transaction', 'equalto', inside_transaction) -%}
    {%- set sql = render(hook.get('sql')) | trim -%}
    {%- if sql | length > 0 -%}
      {%- call statement(auto_begin=inside_transaction) -%}
        {{ sql }}
      {%- endcall -%}
    {%- endif -%}
  {%- endfor -%}
{%- endmacro %}

{% macro make_hook_config(sql, inside_transaction) -%}
  {{ return(tojson({'sql': sql, 'transaction': inside_transaction})) }}
{%- endmacro %}

{% macro before_begin(sql) -%}
  {{ return(make_hook_config(sql, inside_transaction=False)) }}
{%- endmacro %}

{% macro in_transaction(sql) -%}
  {{ return(make_hook_config(sql, inside_transaction=True)) }}
{%- endmacro %}

{% macro after_commit(sql) -%}
  {{ return(make_hook_config(sql, inside_transaction=False)) }}
{%- endmacro %}

{% macro set_sql_header(config) -%}
  {%- do config.set('sql_header', caller()) -%}
{%- endmacro %}

{# A model's own full_refresh setting goes before the flag. #}
{% macro should_full_refresh() -%}
  {%- set chosen = config.get('full_refresh') -%}
  {%- if chosen is none -%}{%- set chosen = flags.FULL_REFRESH -%}{%- endif -%}
  {{ return(chosen) }}
{%- endmacro %}

{% macro is_incremental() -%}
  {%- if not execute -%}{{ return(False) }}{%- endif -%}
  {%- set there = adapter.get_relation(this.database, this.schema, this.table) -%}
  {{ return(there is not none and there.type == 'table' and model.config.materialized == 'incremental' and not should_full_refresh()) }}
{%- endmacro %}
