{% snapshot rooms %}
{{ config(unique_key='meter_id', strategy='check', check_cols=['room', 'floor']) }}
select meter_id, room, floor from {{ ref('current_meters') }}
{% endsnapshot %}
