-- A test of this project alone: the daily amounts add up to the amounts of the stores.
select d.amount as by_day, s.amount as by_store
from (select sum(amount) as amount from {{ ref('daily_sales') }}) as d
cross join (select sum(amount) as amount from {{ ref('store_sales') }}) as s
where d.amount <> s.amount
