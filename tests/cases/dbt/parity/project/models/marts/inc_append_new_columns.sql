{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}
select order_id{% if var('step', 1) > 1 %}, status as added{% endif %}
from {{ ref('stg_orders') }}
