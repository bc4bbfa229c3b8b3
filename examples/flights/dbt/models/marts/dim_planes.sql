select
  tailnum,
  built_in,
  plane_type,
  manufacturer,
  model,
  engines,
  seats,
  engine_type,
  coalesce(seats >= 100, false) as is_large
from {{ ref('stg_planes') }}
