{{ config(tags='deep', meta={'owner': 'them', 'level': 2}) }}
select {{ helpers.star(ref('raw_orders'), except=['updated_at'], prefix='o_') }},
  {{ helpers.surrogate_key(['id', 'status']) }} as surrogate,
  {{ helpers.values_of(ref('raw_orders'), 'status') | list | length }} as statuses
from {{ ref('raw_orders') }} cross join {{ ref('helpers', 'days') }}
