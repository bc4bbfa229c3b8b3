-- What a flight's outcome says: it was cancelled (never left), diverted (left, but has no arrival delay), or it arrived.
select
  time_hour,
  carrier,
  cast(flight as integer) as flight,
  tailnum,
  case
    when dep_time is null then 'cancelled'
    when arr_delay is null then 'diverted'
    else 'arrived'
  end as status,
  cast(dep_delay as integer) as departure_delay,
  cast(arr_delay as integer) as arrival_delay,
  cast(air_time as integer) as air_time
from {{ source('raw', 'outcomes') }}
