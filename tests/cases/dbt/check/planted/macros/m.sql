{% macro total(c) %}
  sum(
    {{ c }}
  )
{% endmacro %}
{% macro bad() %}{{ exceptions.raise_compiler_error('I say no') }}{% endmacro %}
