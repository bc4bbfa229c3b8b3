{{ config(alias='dim_customers', post_hook=["create or replace table {{ this.schema }}.hooked as select count(*) as n from {{ this }}"]) }}
with recent as (select * from {{ ref('stg_orders') }})
select n.customer_id, n.name, n.loud, c.label, count(recent.order_id) as orders
from {{ ref('named') }} n
join {{ ref('stg_customers') }} c using (customer_id)
left join recent using (customer_id)
group by all
