select
  machine_no,
  known_from,
  cups_per_day,
  water_hardness
from {{ source('raw', 'counters') }}
