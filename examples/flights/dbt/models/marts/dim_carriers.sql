select
  carrier,
  name
from {{ ref('stg_carriers') }}
