-- The register leaves out Puerto Rico and the Virgin Islands, where many of the flights go: a seed adds them.
select airport, name, latitude, longitude, altitude_feet, time_zone
from {{ ref('stg_airports') }}
union all
select airport, name, latitude, longitude, altitude_feet, time_zone
from {{ ref('more_airports') }}
where airport not in (select airport from {{ ref('stg_airports') }})
