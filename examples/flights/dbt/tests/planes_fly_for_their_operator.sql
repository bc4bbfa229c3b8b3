-- A plane may change hands within a month; then a few of its flights are not by the operator of that month.
{{ config(severity='warn', warn_if='> 10', error_if='> 100') }}
select time_hour, carrier, flight, plane_operator
from {{ ref('fct_operated_flights') }}
where not by_own_plane
