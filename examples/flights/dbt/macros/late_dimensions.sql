{# Along what a flight's chance to be late is counted: name and expression over what is known before departure. #}
{% macro late_dimensions() -%}
  {{ return({
    'carrier': "carrier",
    'route': "origin || '-' || dest",
    'dest': "dest",
    'origin_hour': "origin || '-' || departure_hour",
    'origin_weekday': "origin || '-' || isodow(flight_date)",
    'carrier_hour': "carrier || '-' || departure_hour",
    'carrier_origin_hour': "carrier || '-' || origin || '-' || departure_hour",
    'route_hour': "origin || '-' || dest || '-' || departure_hour",
    'flight_number': "carrier || '-' || flight",
  }) }}
{%- endmacro %}
