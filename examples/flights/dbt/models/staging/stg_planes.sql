select
  tailnum,
  cast(year as integer) as built_in,
  type as plane_type,
  manufacturer,
  model,
  cast(engines as integer) as engines,
  cast(seats as integer) as seats,
  engine as engine_type
from {{ source('raw', 'planes') }}
