select
  order_id,
  cast(line as integer) as line,
  sku,
  cast(quantity as integer) as quantity,
  unit_price,
  cast(quantity * unit_price as decimal(12, 2)) as amount
from {{ source('raw', 'order_items') }}
