-- Decimals, so that sums and averages are the same in whatever order rows are read.
select
  origin,
  time_hour,
  make_date(year, month, 1) as weather_month,
  make_date(year, month, day) as weather_date,
  cast(hour as integer) as weather_hour,
  cast(temp as decimal(9, 3)) as temperature,
  cast(wind_speed as decimal(9, 3)) as wind_speed,
  cast(precip as decimal(9, 3)) as precipitation,
  cast(visib as decimal(9, 3)) as visibility
from {{ source('raw', 'weather') }}
