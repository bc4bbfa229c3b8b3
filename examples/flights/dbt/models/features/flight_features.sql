-- What is known of a flight on the first of its month, local time. Whenever this is computed, only the month's schedule and
-- the outcomes and weather of earlier months go in: `< s.flight_month` is the rule, and nothing here looks at later rows.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

{%- set dimensions = late_dimensions() %}

with schedules as (
  select
    *,
    {%- for name, expression in dimensions.items() %}
    {{ expression }} as {{ name }}_value,
    {%- endfor %}
    count(*) over (partition by origin, time_hour) as flights_in_hour,
    count(*) over (partition by origin, flight_date) as flights_in_day,
    count(*) over (partition by origin, flight_date, carrier) as carrier_flights_in_day
  from {{ ref('stg_schedules') }}
  where {{ months_to_build('flight_month') }}
),

months as (
  select distinct flight_month from schedules
),

history as (
  select
    m.flight_month,
    h.dimension,
    h.value,
    cast(sum(h.arrived) as double) as arrived,
    cast(sum(h.late) as double) as late,
    cast(sum(h.flights) as double) as flights,
    cast(sum(h.cancelled) as double) as cancelled,
    cast(sum(h.delay_minutes) as double) as delay_minutes,
    cast(sum(h.elapsed_minutes) as double) as elapsed_minutes,
    cast(sum(h.arrived) filter (where h.flight_month = m.flight_month - interval 1 month) as double) as arrived_last_month,
    cast(sum(h.late) filter (where h.flight_month = m.flight_month - interval 1 month) as double) as late_last_month
  from months as m
  join {{ ref('late_history') }} as h
    on h.flight_month < m.flight_month
  group by m.flight_month, h.dimension, h.value
),

hours as (
  select origin, flight_date, departure_hour, count(*) as flights
  from schedules
  group by origin, flight_date, departure_hour
),

-- How full the airport's day has been by then: delays of the morning are still there in the evening.
earlier as (
  select
    h.origin,
    h.flight_date,
    h.departure_hour,
    coalesce(sum(e.flights), 0) as in_day,
    coalesce(sum(e.flights) filter (where e.departure_hour >= h.departure_hour - 2), 0) as in_two_hours
  from hours as h
  left join hours as e
    on h.origin = e.origin and h.flight_date = e.flight_date and e.departure_hour < h.departure_hour
  group by h.origin, h.flight_date, h.departure_hour
),

overall as (
  select flight_month, late / arrived as late_share, cancelled / flights as cancelled_share
  from history
  where dimension = 'overall'
),

weather as (
  select
    m.flight_month,
    w.origin,
    w.weather_hour,
    cast(sum(w.wind_speed) as double) / cast(sum(w.hours) as double) as wind_speed,
    cast(sum(w.visibility) as double) / cast(sum(w.hours) as double) as visibility,
    cast(sum(w.wet_hours) as double) / cast(sum(w.hours) as double) as wet_share
  from months as m
  join {{ ref('weather_history') }} as w
    on w.flight_month < m.flight_month
  group by m.flight_month, w.origin, w.weather_hour
),

days as (
  select
    d.flight_date,
    cast(min(abs(d.flight_date - h.holiday)) as integer) as days_to_holiday
  from (select distinct flight_date from schedules) as d
  cross join {{ ref('holidays') }} as h
  group by d.flight_date
)

select
  s.time_hour,
  s.carrier,
  s.flight,
  s.flight_month,
  s.flight_date,
  {{ local_midnight_utc('s.flight_month') }} as features_as_of,
  s.origin,
  s.dest,
  s.distance,
  s.departure_hour,
  s.departure_minute_of_day,
  s.arrival_minute_of_day,
  cast(isodow(s.flight_date) as integer) as weekday,
  cast(day(s.flight_date) as integer) as day_of_month,
  d.days_to_holiday,
  cast(s.flights_in_hour as integer) as flights_in_hour,
  cast(s.flights_in_day as integer) as flights_in_day,
  cast(s.carrier_flights_in_day as integer) as carrier_flights_in_day,
  cast(e.in_day as integer) as flights_earlier_in_day,
  cast(e.in_two_hours as integer) as flights_in_two_hours_before,
  -- Minutes that the schedule allows above what the route's flights have needed.
  s.scheduled_minutes - by_route.elapsed_minutes / nullif(by_route.arrived, 0) as spare_minutes,
  o.late_share as overall_late_share,
  o.cancelled_share as overall_cancelled_share,
  by_carrier.late_last_month / nullif(by_carrier.arrived_last_month, 0) as carrier_late_share_last_month,
  by_origin_hour.late_last_month / nullif(by_origin_hour.arrived_last_month, 0) as origin_hour_late_share_last_month,
  {{ late_share('by_carrier.late', 'by_carrier.arrived', 'o.late_share') }} as carrier_late_share,
  {{ late_share('by_route.late', 'by_route.arrived', 'o.late_share') }} as route_late_share,
  -- Against all flights (1: late as often as they are), which compares from month to month while the overall share swings.
  {%- for name in dimensions %}
  {{ late_share('by_' ~ name ~ '.late', 'by_' ~ name ~ '.arrived', 'o.late_share') }} / o.late_share as {{ name }}_lateness,
  {%- endfor %}
  by_route.delay_minutes / nullif(by_route.arrived, 0) as route_mean_delay,
  by_route.cancelled / nullif(by_route.flights, 0) as route_cancelled_share,
  cast(coalesce(by_route.flights, 0) as integer) as route_flights,
  w.wind_speed as usual_wind_speed,
  w.visibility as usual_visibility,
  w.wet_share as usual_wet_share
from schedules as s
left join days as d on s.flight_date = d.flight_date
left join earlier as e
  on s.origin = e.origin and s.flight_date = e.flight_date and s.departure_hour = e.departure_hour
left join overall as o on s.flight_month = o.flight_month
{%- for name in dimensions %}
left join history as by_{{ name }}
  on by_{{ name }}.dimension = '{{ name }}'
  and by_{{ name }}.flight_month = s.flight_month
  and by_{{ name }}.value = s.{{ name }}_value
{%- endfor %}
left join weather as w
  on w.flight_month = s.flight_month and w.origin = s.origin and w.weather_hour = s.departure_hour
