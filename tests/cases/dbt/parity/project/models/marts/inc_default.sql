{{ config(materialized='incremental', unique_key=['order_id', 'day'], incremental_predicates=["DBT_INCREMENTAL_TARGET.day > date '2020-01-01'"]) }}
select * from {{ ref('stg_orders') }}
