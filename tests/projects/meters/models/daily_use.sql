{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}
select
  day,
  meter_id,
  cast(sum(kwh) as decimal(12, 3)) as kwh,
  count(*) as hours,
  count(*) filter (where quality = 'estimated') as estimated
from {{ ref('stg_readings') }}
{% if is_incremental() %}
-- the last day of the week before comes again
where day >= {{ day_of('data_interval_start') }} - 1
{% endif %}
group by day, meter_id
