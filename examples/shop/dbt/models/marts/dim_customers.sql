select
  c.customer_id,
  c.name,
  c.email,
  c.city,
  c.tier,
  count(o.order_id) as orders,
  min(o.day) as first_order,
  max(o.day) as last_order
from {{ ref('stg_customers') }} as c
left join {{ ref('stg_orders') }} as o on c.customer_id = o.customer_id
group by all
