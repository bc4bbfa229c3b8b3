select first_day
from {{ ref('weeks') }}
qualify lead(first_day) over (order by first_day) <> first_day + 7
