{{ config(materialized='table') }}
select id, {{ helpers.two() }} as two, missing from {{ ref('a') }}