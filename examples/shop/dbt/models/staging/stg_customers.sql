select
  customer_id,
  name,
  lower(email) as email,
  city,
  tier,
  updated_at at time zone 'UTC' as updated_at
from {{ source('raw', 'customers') }}
