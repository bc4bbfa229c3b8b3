select
  faa as airport,
  name,
  cast(lat as decimal(9, 6)) as latitude,
  cast(lon as decimal(9, 6)) as longitude,
  cast(alt as integer) as altitude_feet,
  tzone as time_zone
from {{ source('raw', 'airports') }}
