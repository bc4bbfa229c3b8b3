"""`quern check` finds everything that is wrong in one call, each with its place."""

PLANTED = {
    "quern.yml": """\
name: wrong
targets:
  dev: {treads: 2}
schedules:
  nightly:
    cron: "0 25 * * *"
    timezone: Europe/Berlim
""",
    "ingest/orders.yml": """\
tables:
  - name: orders
    path: landing/orders.csv
    mode: merge
    key: [id]
    columns:
      - {name: id, type: bigintt}
  - name: items
    path: landing/items.csv
    mode: upsert
""",
    "scripts/score.yml": """\
scripts:
  - name: score
    comand: "true"
    writes: [{table: raw.scores, mode: append}]
""",
    "dbt/dbt_project.yml": "name: wrong\nversion: '1.0'\nconfig-version: 2\nprofile: wrong\n",
    "dbt/profiles.yml": "wrong:\n  target: dev\n  outputs:\n    dev: {type: quern, schema: marts}\n",
    "dbt/models/schema.yml": """\
version: 2
models:
  - name: base
    columns:
      - name: id
        data_tests: [uniqe]
""",
    "dbt/models/base.sql": "select 1 as id\n",
    "dbt/models/lost.sql": "select id\nfrom {{ ref('bass') }}\n",
    "dbt/models/sourceless.sql": "select id\nfrom {{ source('raw', 'order') }}\n",
    "dbt/models/unclosed.sql": "select id\nfrom {{ ref('base') }}\n{% if true %}\n",
    "dbt/models/unbound.sql": "select\n  idd\nfrom {{ ref('base') }}\n",
    "dbt/models/hen.sql": "select * from {{ ref('egg') }}\n",
    "dbt/models/egg.sql": "select * from {{ ref('hen') }}\n",
}

PLACES = [
    "quern.yml:3:9",             # unknown key
    "quern.yml:6:",              # hour 25
    "quern.yml:7:",              # unknown zone
    "ingest/orders.yml:7:",      # unknown type
    "ingest/orders.yml:10:",     # unknown mode
    "scripts/score.yml:3:5",     # unknown key
    "models/schema.yml:6:",      # unknown test
    "models/lost.sql:2:",        # unknown reference
    "models/sourceless.sql:2:",  # unknown source
    "models/unclosed.sql:3:",    # a block without its end
    "models/unbound.sql:2:",     # a column that is not there
    "models/hen.sql",            # a cycle
]

HINTS = ["threads", "Europe/Berlin", "bigint", "command", "unique", "base"]


def test_twelve_planted_errors_are_all_found_in_one_call(project):
    wrong = project(files=PLANTED)
    answer = wrong.quern("check", expect=1)
    places = [place for place in PLACES if place in answer.text or place == "models/hen.sql" and "egg -> " in answer.text]
    assert places == PLACES, f"not found: {sorted(set(PLACES) - set(places))}\n{answer}"
    assert [hint for hint in HINTS if hint not in answer.text] == []
    assert not wrong.warehouse.exists() or not wrong.tables()


def test_what_a_script_names_and_nobody_knows_has_its_own_place(project):
    wrong = project(files={"quern.yml": "name: wrong\n", "scripts/score.yml": """\
scripts:
  - name: score
    command: "true"
    depends_on: [script.scores]
    reads:
      - raw.order
      - {table: raw.lost, as_of: current}
"""})
    answer = wrong.quern("check", expect=1)
    for place in ("scripts/score.yml:4:", "scripts/score.yml:6:9", "scripts/score.yml:7:17"):
        assert place in answer.text, answer


def test_nothing_is_said_of_the_examples(project):
    for name in ("flights", "shop", "meters"):
        answer = project(name, folder=name).quern("check")
        assert "warning" not in answer.text.lower() and "error" not in answer.text.lower().replace("no errors", ""), answer
