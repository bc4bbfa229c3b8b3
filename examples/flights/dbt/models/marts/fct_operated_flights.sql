-- Flights that left, with who operated their plane as of the flight's time.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

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
from {{ ref('fct_flights') }} as f
left join {{ ref('plane_operators') }} as o
  on f.tailnum = o.tailnum
  and f.time_hour at time zone 'UTC' >= o.dbt_valid_from
  and (o.dbt_valid_to is null or f.time_hour at time zone 'UTC' < o.dbt_valid_to)
left join {{ ref('dim_planes') }} as p
  on f.tailnum = p.tailnum
where f.status in ('arrived', 'diverted')
  and f.tailnum is not null
  and {{ months_to_build('f.flight_month') }}
