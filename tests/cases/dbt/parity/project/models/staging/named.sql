{{ config(materialized='ephemeral', tags='named') }}
with c as (select * from {{ ref('stg_customers') }})
select *, upper(name) as loud from c
