select
  p.sku,
  p.name,
  p.category,
  cast(coalesce(sum(i.quantity), 0) as bigint) as pieces,
  cast(coalesce(sum(i.amount), 0) as decimal(14, 2)) as amount
from {{ ref('dim_products') }} as p
left join {{ ref('stg_order_items') }} as i on p.sku = i.sku
group by p.sku, p.name, p.category
