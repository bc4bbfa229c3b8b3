select
    {{ dbt.listagg('status', "'|'", "order by status") }} as statuses,
    {{ dbt.bool_or('amount > 20') }} as any_large,
    {{ dbt.any_value('1') }} as one
from {{ ref('stg_orders') }}
