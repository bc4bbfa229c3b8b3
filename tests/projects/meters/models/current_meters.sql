select
  "Zähler" as meter_id,
  Raum as room,
  Etage as floor,
  Bauart as kind,
  eingebaut as installed_on
from {{ source('landed', 'meters') }}
where is_current
