-- Reads what a script wrote in this same run.
select
  cast(cast(week_begins as timestamptz) at time zone '{{ var("zone") }}' as date) as first_day,
  date_diff('hour', cast(week_begins as timestamptz), cast(week_ends as timestamptz)) as hours
from {{ source('scripts', 'calendar') }}
