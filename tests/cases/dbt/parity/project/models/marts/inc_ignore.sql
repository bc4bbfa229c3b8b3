{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='ignore') }}
select order_id{% if var('step', 1) > 1 %}, amount, status as added{% else %}, amount{% endif %}
from {{ ref('stg_orders') }}
