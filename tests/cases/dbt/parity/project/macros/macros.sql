{% macro cents(column) -%} cast(round({{ column }} * 100) as integer) {%- endmacro %}

{% macro greet(name) %}{{ return(adapter.dispatch('greet', 'parity')(name)) }}{% endmacro %}
{% macro default__greet(name) %}'hello {{ name }}'{% endmacro %}
{% macro duckdb__greet(name) %}'quack {{ name }}'{% endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- if custom_alias_name -%}{{ custom_alias_name | trim }}{%- else -%}{{ node.name }}{%- endif -%}
{%- endmacro %}
