-- How often flights were late, month by month and along several dimensions: small, so that features need not read flights.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

{%- set dimensions = late_dimensions() %}

with flights as (
  select
    flight_month,
    status,
    is_late,
    arrival_delay,
    scheduled_minutes + arrival_delay - departure_delay as elapsed_minutes,
    {%- for name, expression in dimensions.items() %}
    {{ expression }} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
  from {{ ref('fct_flights') }}
  where status <> 'scheduled'
    and {{ months_to_build('flight_month') }}
)

select
  flight_month,
  case
    {%- for name in dimensions %}
    when grouping({{ name }}) = 0 then '{{ name }}'
    {%- endfor %}
    else 'overall'
  end as dimension,
  coalesce({{ dimensions.keys() | join(', ') }}, '') as value,
  count(*) as flights,
  count(*) filter (where status = 'arrived') as arrived,
  count(*) filter (where is_late) as late,
  count(*) filter (where status = 'cancelled') as cancelled,
  cast(coalesce(sum(arrival_delay), 0) as bigint) as delay_minutes,
  cast(coalesce(sum(elapsed_minutes), 0) as bigint) as elapsed_minutes
from flights
group by grouping sets (
  (flight_month)
  {%- for name in dimensions %},
  (flight_month, {{ name }})
  {%- endfor %}
)
