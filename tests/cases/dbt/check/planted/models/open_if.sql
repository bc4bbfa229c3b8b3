select *
from {{ ref('a') }}
where {% if x %}
