-- One row per flight. It comes with its schedule, as 'scheduled'; a month later its outcome is merged over it.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['time_hour', 'carrier', 'flight']
) }}

with schedules as (
  select *
  from {{ ref('stg_schedules') }}
  where {{ months_to_build('flight_month') }}
)

select
  s.time_hour,
  s.carrier,
  s.flight,
  s.flight_month,
  s.flight_date,
  s.origin,
  s.dest,
  s.distance,
  s.departure_hour,
  s.scheduled_minutes,
  coalesce(o.status, 'scheduled') as status,
  o.tailnum,
  o.departure_delay,
  o.arrival_delay,
  o.air_time,
  o.arrival_delay > 15 as is_late
from schedules as s
left join {{ ref('stg_outcomes') }} as o
  on s.time_hour = o.time_hour and s.carrier = o.carrier and s.flight = o.flight
