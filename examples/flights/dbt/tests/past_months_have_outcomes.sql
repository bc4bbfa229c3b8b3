-- Before the month that begins at the interval's end, no flight is still waiting for its outcome.
select time_hour, carrier, flight
from {{ ref('fct_flights') }}
where status = 'scheduled'
  and flight_month < {{ local_month(interval_end()) }}
