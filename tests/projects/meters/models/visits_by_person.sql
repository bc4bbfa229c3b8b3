select
  v."by",
  count(distinct v.visit_id) as visits,
  cast(coalesce(sum(p.pieces), 0) as bigint) as pieces
from {{ source('landed', 'visits') }} as v
left join {{ source('landed', 'visit_parts') }} as p on p._quern_parent_id = v._quern_id
group by v."by"
