{{ config(contract={'enforced': true}) }}
select order_id, cast(status as varchar) as status, amount from {{ ref('stg_orders') }}
