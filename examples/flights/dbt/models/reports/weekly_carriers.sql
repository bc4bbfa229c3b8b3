{{ config(tags=['weekly']) }}

select
  cast(date_trunc('week', f.flight_date) as date) as week,
  f.carrier,
  c.name as carrier_name,
  count(*) as flights,
  count(*) filter (where f.is_late) as late,
  count(*) filter (where f.status = 'cancelled') as cancelled
from {{ ref('fct_flights') }} as f
join {{ ref('dim_carriers') }} as c
  on f.carrier = c.carrier
where f.status <> 'scheduled'
group by cast(date_trunc('week', f.flight_date) as date), f.carrier, c.name
