{{ config(materialized='view') }}
select distinct "Zähler" as meter_id from {{ source('landed', 'meters') }}
