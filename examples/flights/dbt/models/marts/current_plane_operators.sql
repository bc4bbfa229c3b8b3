-- Who operates each plane by the end of the interval, and since when: the first month of the carrier's present stretch.
with months as (
  select
    tailnum,
    flight_month,
    carrier,
    lag(carrier) over (partition by tailnum order by flight_month) is distinct from carrier as changed
  from {{ ref('plane_months') }}
  where flight_month < {{ local_month(interval_end()) }}
)

select
  tailnum,
  arg_max(carrier, flight_month) as carrier,
  {{ local_midnight_utc('max(flight_month) filter (where changed)') }} as operated_since
from months
group by tailnum
