{{ config(materialized='incremental', incremental_strategy='append') }}
select
  event_id,
  "at" at time zone 'UTC' as at_utc,
  meter.id as meter_id,
  meter.place.room as room,
  unnest(codes) as code
from {{ source('landed', 'events') }}
where "at" >= timestamptz '{{ var("data_interval_start") }}'
  and "at" < timestamptz '{{ var("data_interval_end") }}'
