{# Valid from the run that first saw it: what a job's prediction could know. #}
{% snapshot contracts %}
{{ config(unique_key='machine_no', strategy='check', check_cols=['contract', 'site']) }}
select machine_no, contract, site from {{ source('raw', 'machines') }}
{% endsnapshot %}
