{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='sync_all_columns') }}
select order_id{% if var('step', 1) > 1 %}, status as added{% else %}, amount as old{% endif %}
from {{ ref('stg_orders') }}
