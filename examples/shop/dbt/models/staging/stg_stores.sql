select
  cast(store_id as integer) as store_id,
  name,
  coalesce(city, 'online') as city
from {{ source('raw', 'stores') }}
