select
  day,
  count(*) as orders,
  count(*) filter (where status = 'returned') as returned,
  cast(sum(amount) as decimal(14, 2)) as amount
from {{ ref('fct_orders') }}
group by day
