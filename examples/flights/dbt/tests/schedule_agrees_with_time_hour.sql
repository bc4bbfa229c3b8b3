-- Year, month, day and hour of the source are local, time_hour is UTC: they must name the same hour, also around midnight
-- on the last of a month and on the days the clock changes.
select s.time_hour, s.flight_date, s.departure_hour
from {{ ref('stg_schedules') }} as s
where s.flight_date <> cast({{ local_time('s.time_hour') }} as date)
  or s.departure_hour <> extract(hour from {{ local_time('s.time_hour') }})
