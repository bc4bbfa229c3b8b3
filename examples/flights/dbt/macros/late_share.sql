{# Share of late arrivals, drawn towards the overall share where little is known. Null without any history. #}
{% macro late_share(late, arrived, overall, weight=20) -%}
  (coalesce({{ late }}, 0) + {{ weight }} * {{ overall }}) / (coalesce({{ arrived }}, 0) + {{ weight }})
{%- endmacro %}
