select
  job_no,
  arg_max(hours, handed_in) as hours,
  min(handed_in) as known_from
from {{ source('raw', 'sheets') }}
group by job_no
