{% test at_least(model, n, options=none) %}
select count(*) as found from {{ model }} having count(*) < {{ n }}
{% endtest %}

{% test shorter_than(model, column_name, limit_to) %}
{{ config(severity='error') }}
select * from {{ model }} where length({{ column_name }}) >= {{ limit_to }}
{% endtest %}
