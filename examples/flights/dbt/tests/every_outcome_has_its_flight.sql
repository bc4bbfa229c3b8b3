select o.time_hour, o.carrier, o.flight
from {{ ref('stg_outcomes') }} as o
left join {{ ref('fct_flights') }} as f
  on o.time_hour = f.time_hour and o.carrier = f.carrier and o.flight = f.flight
where f.time_hour is null
