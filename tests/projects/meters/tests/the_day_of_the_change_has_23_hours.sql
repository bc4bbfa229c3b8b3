select day, meter_id, hours
from {{ ref('daily_use') }}
where hours <> case when day = date '2026-03-29' then 23 else 24 end
