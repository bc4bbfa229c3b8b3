-- An order with the tier that its customer had when it was made, not the one of today. Empty for orders from before the
-- first snapshot of their customer.
select
  o.order_id,
  o.customer_id,
  o.ordered_at,
  c.tier as tier_then
from {{ ref('stg_orders') }} as o
left join {{ ref('customer_history') }} as c
  on o.customer_id = c.customer_id
  and o.ordered_at >= c.dbt_valid_from
  and o.ordered_at < coalesce(c.dbt_valid_to, timestamp '9999-12-31')
where o.customer_id is not null
