select
  p.sku,
  p.name,
  p.category,
  p.price,
  c.vat_percent,
  cast(p.price / (1 + c.vat_percent / 100.0) as decimal(10, 2)) as net_price
from {{ ref('stg_products') }} as p
left join {{ ref('categories') }} as c on p.category = c.category
