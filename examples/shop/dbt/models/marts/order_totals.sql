-- Ephemeral: pasted into the models that use it, no table of its own.
{{ config(materialized='ephemeral') }}

select
  order_id,
  count(*) as lines,
  cast(sum(quantity) as bigint) as pieces,
  cast(sum(amount) as decimal(12, 2)) as amount
from {{ ref('stg_order_items') }}
group by order_id
