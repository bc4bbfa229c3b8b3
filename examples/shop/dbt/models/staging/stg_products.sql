select
  sku,
  name,
  category,
  price
from {{ source('raw', 'products') }}
