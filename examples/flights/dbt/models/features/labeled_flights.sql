-- Features with the label, for training: null while the outcome is not known, and for flights that never arrived.
{{ config(materialized='view') }}

select
  f.*,
  -- Once more as a feature: what is part of the key is none.
  f.carrier as airline,
  o.status,
  o.is_late
from {{ ref('flight_features') }} as f
left join {{ ref('fct_flights') }} as o
  on f.time_hour = o.time_hour and f.carrier = o.carrier and f.flight = o.flight
