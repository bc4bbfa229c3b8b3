{# At least a share of all rows meets a condition. An empty table passes. #}
{% test share_at_least(model, condition, share) %}
select met, total
from (
  select count(*) filter (where {{ condition }}) as met, count(*) as total
  from {{ model }}
) as counted
where met < {{ share }} * total
{% endtest %}
