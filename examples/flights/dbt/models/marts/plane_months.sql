-- Who operated a plane in a month: the carrier of the last flight of that month that left with it.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='flight_month'
) }}

select
  tailnum,
  flight_month,
  arg_max(carrier, (time_hour, carrier, flight)) as carrier,
  count(*) as flights
from {{ ref('fct_flights') }}
where status in ('arrived', 'diverted')
  and tailnum is not null
  and {{ months_to_build('flight_month') }}
group by tailnum, flight_month
