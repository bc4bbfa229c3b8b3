{# No model may depend on the session's time zone: instants are turned into local time only here, by a named zone. #}

{# Local time of an instant (timestamp with time zone). #}
{% macro local_time(instant) -%}
  ({{ instant }} at time zone '{{ var("local_zone") }}')
{%- endmacro %}

{# First day of the local month of an instant. #}
{% macro local_month(instant) -%}
  cast(date_trunc('month', {{ local_time(instant) }}) as date)
{%- endmacro %}

{# The instant at which a local day begins, as UTC without a zone. #}
{% macro local_midnight_utc(day) -%}
  ((cast({{ day }} as timestamp) at time zone '{{ var("local_zone") }}') at time zone 'UTC')
{%- endmacro %}

{% macro interval_start() -%}
  cast('{{ var("data_interval_start") }}' as timestamptz)
{%- endmacro %}

{% macro interval_end() -%}
  cast('{{ var("data_interval_end") }}' as timestamptz)
{%- endmacro %}

{# The condition that picks the months an incremental model must (re)build: from the interval's own month, or from its
   last built month if runs were missed, up to the month that begins at the interval's end. A first build and
   --full-refresh take all months up to there. #}
{% macro months_to_build(month) -%}
  {{ month }} <= {{ local_month(interval_end()) }}
  {%- if is_incremental() %}
  and {{ month }} >= (
    select least(coalesce(max(built.flight_month), date '1900-01-01'), {{ local_month(interval_start()) }})
    from {{ this }} as built
  )
  {%- endif %}
{%- endmacro %}
