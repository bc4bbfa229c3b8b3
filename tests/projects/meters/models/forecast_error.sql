-- Reads what a script wrote, which itself reads a model: all in one run.
select
  f.day,
  f.meter_id,
  f.kwh as forecast,
  cast(u.kwh as double) as used
from (select cast(day as date) as day, meter_id, cast(kwh as double) as kwh from {{ source('forecasts', 'next_week') }}) as f
left join {{ ref('daily_use') }} as u on f.day = u.day and f.meter_id = u.meter_id
