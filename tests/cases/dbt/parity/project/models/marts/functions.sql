{%- set rows = run_query("select 1 as a, 'x' as b union all select 2, 'y' order by 1") -%}
{%- set names = [] -%}
{%- if execute -%}
  {%- for row in rows.rows -%}{%- do names.append(row['b'] ~ row[0]) -%}{%- endfor -%}
{%- endif -%}
select
    '{{ names | join(",") }}' as names,
    {{ dbt.dateadd('day', 3, "date '2024-01-30'") }} as added,
    {{ dbt.datediff("date '2024-01-01'", "date '2024-03-01'", 'month') }} as months,
    {{ dbt.date_trunc('month', "timestamp '2024-05-17 10:00:00'") }} as month,
    {{ dbt.concat(["'a'", "'b'"]) }} as ab,
    {{ dbt.hash("'a'") }} as hashed,
    {{ dbt.safe_cast("'7'", dbt.type_int()) }} as number,
    {{ dbt.split_part("'a-b-c'", "'-'", 2) }} as part,
    {{ dbt.length("'four'") }} as len,
    {{ dbt.position("'u'", "'four'") }} as pos,
    {{ dbt.replace("'four'", "'f'", "'p'") }} as replaced,
    {{ dbt.right("'four'", 2) }} as ur,
    {{ dbt.last_day("date '2024-02-10'", 'month') }} as last_day,
    {{ dbt.cast_bool_to_text("true") }} as bool_text,
    '{{ dbt.escape_single_quotes("it's") }}' as quoted,
    cast(1 as {{ dbt.type_bigint() }}) as big,
    cast(1.5 as {{ dbt.type_float() }}) as real_number,
    cast('x' as {{ dbt.type_string() }}) as text_value,
    {{ greet('Ann') }} as greeting,
    '{{ this.schema }}.{{ this.identifier }}' as me,
    '{{ model.config.meta.owner }}' as owner,
    {{ "true" if target.name in ('duckdb', 'quern') else "false" }} as known_target
