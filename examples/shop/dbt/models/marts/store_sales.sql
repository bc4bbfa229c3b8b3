select
  s.store_id,
  s.name,
  count(o.order_id) as orders,
  cast(coalesce(sum(o.amount), 0) as decimal(14, 2)) as amount
from {{ ref('stg_stores') }} as s
left join {{ ref('fct_orders') }} as o on s.store_id = o.store_id
group by s.store_id, s.name
