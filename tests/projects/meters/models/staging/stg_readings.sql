select meter_id, "at", day, kwh, quality
from {{ source('landed', 'readings') }}
