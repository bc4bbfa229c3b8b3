{{ config(materialized='ephemeral') }}
-- with a comment before
select id as customer_id, name, '{{ var("label") }}' as label from {{ source('raw', 'customers') }}
