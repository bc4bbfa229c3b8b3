{# Validity comes from the flights themselves (operated_since), not from when this ran. #}
{% snapshot plane_operators %}
{{ config(unique_key='tailnum', strategy='timestamp', updated_at='operated_since') }}
select tailnum, carrier, operated_since
from {{ ref('current_plane_operators') }}
{% endsnapshot %}
