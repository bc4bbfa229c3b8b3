{{ config(tags=['monthly']) }}

select
  flight_month,
  count(*) as flights,
  count(*) filter (where status = 'arrived') as arrived,
  count(*) filter (where is_late) as late,
  count(*) filter (where status = 'cancelled') as cancelled,
  count(*) filter (where status = 'diverted') as diverted,
  count(*) filter (where status = 'scheduled') as still_to_fly
from {{ ref('fct_flights') }}
group by flight_month
