-- Incremental: only orders that changed since the last build are read, and merged over what is there.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='order_id'
) }}

select
  o.order_id,
  o.customer_id,
  o.store_id,
  o.day,
  o.status,
  t.lines,
  t.pieces,
  t.amount,
  o.updated_at
from {{ ref('stg_orders') }} as o
join {{ ref('order_totals') }} as t on o.order_id = t.order_id

{% if is_incremental() %}
where o.updated_at > (select coalesce(max(updated_at), timestamp '1900-01-01') from {{ this }})
{% endif %}
