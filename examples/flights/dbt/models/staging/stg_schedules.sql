-- Year, month, day and hour are local already; a test holds them against time_hour.
select
  time_hour,
  carrier,
  cast(flight as integer) as flight,
  make_date(year, month, 1) as flight_month,
  make_date(year, month, day) as flight_date,
  origin,
  dest,
  cast(distance as integer) as distance,
  cast(hour as integer) as departure_hour,
  cast(hour * 60 + minute as integer) as departure_minute_of_day,
  cast(sched_arr_time // 100 * 60 + sched_arr_time % 100 as integer) as arrival_minute_of_day,
  -- Between two local times: off by the zones' difference, which is the same for all flights of a route.
  cast((sched_arr_time // 100 * 60 + sched_arr_time % 100 - (hour * 60 + minute) + 1440) % 1440 as integer) as scheduled_minutes
from {{ source('raw', 'schedules') }}
