select
  order_id,
  customer_id,
  cast(store_id as integer) as store_id,
  ordered_at at time zone 'UTC' as ordered_at,
  {{ utc_day('ordered_at') }} as day,
  status,
  updated_at at time zone 'UTC' as updated_at
from {{ source('raw', 'orders') }}
