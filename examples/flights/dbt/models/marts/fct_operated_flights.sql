-- Flights that left, with who operated their plane as of the flight's time.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

with flights as (
  select *, time_hour at time zone 'UTC' as scheduled_at
  from {{ ref('fct_flights') }}
  where status in ('arrived', 'diverted')
    and tailnum is not null
    and {{ months_to_build('flight_month') }}
)

select
  f.time_hour,
  f.carrier,
  f.flight,
  f.flight_month,
  f.tailnum,
  o.carrier as plane_operator,
  o.carrier = f.carrier as by_own_plane,
  p.seats,
  cast(year(f.flight_date) - p.built_in as integer) as plane_age
from flights as f
left join {{ ref('plane_operators') }} as o
  on f.tailnum = o.tailnum
  and {{ valid_at('o', 'f.scheduled_at') }}
left join {{ ref('dim_planes') }} as p
  on f.tailnum = p.tailnum
