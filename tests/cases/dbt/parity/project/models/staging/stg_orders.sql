select
    id as order_id,
    customer_id,
    amount,
    status,
    updated_at,
    day,
    {{ cents('amount') }} as cents
from {{ ref('raw_orders') }}
where amount >= {{ var('minimum') }}
