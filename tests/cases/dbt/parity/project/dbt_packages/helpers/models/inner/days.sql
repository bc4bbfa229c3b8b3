{{ config(tags=['from_package', 'days']) }}
{% for i in range(var('shown_days')) -%}
select {{ i }} as number{{ " union all" if not loop.last }}
{% endfor %}
