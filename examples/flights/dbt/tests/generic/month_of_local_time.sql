{# A row's month is the month of its instant in local time. #}
{% test month_of_local_time(model, instant, month) %}
select {{ instant }}, {{ month }}
from {{ model }}
where {{ month }} <> {{ local_month(instant) }}
{% endtest %}
