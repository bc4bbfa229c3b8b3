{% snapshot by_time %}
{{ config(strategy='timestamp', unique_key='id', updated_at='updated_at') }}
select id, status, amount, updated_at from {{ ref('raw_orders') }}
{% endsnapshot %}

{% snapshot by_check %}
{{ config(target_schema='checked', strategy='check', unique_key=['id', 'day'], check_cols=['status', 'amount']) }}
select * from {{ ref('raw_orders') }}
{% endsnapshot %}
