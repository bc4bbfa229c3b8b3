-- The usual weather at an airport by hour of the day, month by month.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

select
  weather_month as flight_month,
  origin,
  weather_hour,
  count(*) as hours,
  cast(sum(wind_speed) as decimal(18, 3)) as wind_speed,
  cast(sum(visibility) as decimal(18, 3)) as visibility,
  count(*) filter (where precipitation > 0) as wet_hours
from {{ ref('stg_weather') }}
where {{ months_to_build('weather_month') }}
group by weather_month, origin, weather_hour
