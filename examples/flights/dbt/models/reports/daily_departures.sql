{{ config(tags=['daily']) }}

with weather as (
  select
    origin,
    weather_date,
    max(wind_speed) as strongest_wind,
    cast(sum(precipitation) as decimal(18, 3)) as precipitation
  from {{ ref('stg_weather') }}
  group by origin, weather_date
)

select
  f.flight_date,
  f.origin,
  count(*) as flights,
  count(*) filter (where f.is_late) as late,
  count(*) filter (where f.status = 'cancelled') as cancelled,
  max(w.strongest_wind) as strongest_wind,
  max(w.precipitation) as precipitation
from {{ ref('fct_flights') }} as f
left join weather as w
  on f.origin = w.origin and f.flight_date = w.weather_date
where f.status <> 'scheduled'
group by f.flight_date, f.origin
