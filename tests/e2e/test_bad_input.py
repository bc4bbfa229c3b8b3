"""Bad input of every kind: a clear error with its place, the documented exit code, nothing lost or half-written."""

import gzip
import os
import shutil
import subprocess
import time

import pytest
import tables
from quern_project import Project

QUERN_YML = """\
name: small
targets:
  dev: {threads: 2, memory_limit: 300MB}
schedules:
  daily: {cron: "0 0 * * *", start: 2026-01-01}
"""

INGEST_YML = """\
tables:
  - name: orders
    path: landing/orders/*.csv
    mode: append
    columns:
      - {name: id, type: bigint, nullable: false}
      - {name: amount, type: double}
      - {name: placed, type: date}
"""

GOOD_CSV = "id,amount,placed\n1,1.5,2026-01-01\n2,2.5,2026-01-01\n"

DBT_PROJECT = "name: small\nversion: '1.0'\nconfig-version: 2\nprofile: small\nmodels:\n  +materialized: table\n"
PROFILES = "small:\n  target: dev\n  outputs:\n    dev: {type: quern, schema: marts}\n"
SOURCES = "version: 2\nsources:\n  - name: raw\n    tables:\n      - name: orders\n"
MODEL = "select id, amount * 2 as twice\nfrom {{ source('raw', 'orders') }}\n"

SMALL = {
    "quern.yml": QUERN_YML,
    "ingest/orders.yml": INGEST_YML,
    "landing/orders/1.csv": GOOD_CSV,
    "dbt/dbt_project.yml": DBT_PROJECT,
    "dbt/profiles.yml": PROFILES,
    "dbt/models/sources.yml": SOURCES,
    "dbt/models/twice.sql": MODEL,
}


@pytest.fixture
def small(project):
    """A maker of a small project that runs, with some files changed or (None) left out."""

    def make(changes=None):
        files = {**SMALL, **(changes or {})}
        return project(files={path: text for path, text in files.items() if text is not None})

    return make


def run(project, expect=0, **options):
    return project.quern("run", "daily", "--date", "2026-01-01", expect=expect, **options)


def state(project):
    """All that is in the warehouse: {table: number of rows}; fails if a table cannot be read."""
    return {name: project.count(name) for name in project.tables()}


def assert_says(answer, *needles):
    for needle in needles:
        assert needle in answer.text, f"'{needle}' is not said in\n{answer}"


def add(project, path, content):
    file = project.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content, "utf-8")
    return file


def then_mended(project, path, content=GOOD_CSV, rows=2):
    """After the bad file is put right, the next run takes everything, once."""
    add(project, path, content)
    run(project)
    assert state(project) == {"raw.orders": rows, "marts.twice": rows}


def test_the_small_project_runs(small):
    project = small()
    run(project)
    assert state(project) == {"raw.orders": 2, "marts.twice": 2}


# --- files ---------------------------------------------------------------------------------------------------------

def test_broken_csv_row(small):
    project = small({"landing/orders/1.csv": "id,amount,placed\n1,1.5,2026-01-01\n2,2.5\n3,3.5,2026-01-01,x,y\n"})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv:3")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv")


def test_broken_csv_row_can_be_discarded(small):
    project = small({"landing/orders/1.csv": "id,amount,placed\n1,1.5,2026-01-01\n2,2.5,2026-01-01,x,y\n3,3.5,2026-01-01\n",
                     "ingest/orders.yml": INGEST_YML + "    contract: {rows: discard_row}\n"})
    run(project)
    assert state(project) == {"raw.orders": 2, "raw.orders_quarantine": 1, "marts.twice": 2}
    described = str(project.query("select * from {raw.orders_quarantine}"))
    assert "landing/orders/1.csv" in described and "3" in described


def test_wrong_type_under_a_frozen_contract(small):
    project = small({"landing/orders/1.csv": "id,amount,placed\n1,1.5,2026-01-01\n2,much,2026-01-01\n",
                     "ingest/orders.yml": INGEST_YML + "    contract: {data_type: freeze}\n"})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv:3", "amount", "much")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv")


def test_wrong_type_can_be_discarded_by_row_or_value(small):
    text = "id,amount,placed\n1,1.5,2026-01-01\n2,much,2026-01-01\n"
    project = small({"landing/orders/1.csv": text, "ingest/orders.yml": INGEST_YML + "    contract: {data_type: discard_value}\n"})
    run(project)
    assert project.query("select id, amount from {raw.orders} order by id") == [(1, 1.5), (2, None)]


def test_missing_column(small):
    project = small({"landing/orders/1.csv": "amount,placed\n1.5,2026-01-01\n"})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv", "id")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv")


def test_empty_file(small):
    project = small({"landing/orders/1.csv": ""})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv", "empty")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv")


def test_truncated_gzip(small):
    packed = gzip.compress(("id,amount,placed\n" + "".join(f"{n},1.5,2026-01-01\n" for n in range(50000))).encode())
    project = small({"ingest/orders.yml": INGEST_YML.replace("*.csv", "*.csv.gz"), "landing/orders/1.csv.gz": packed[: len(packed) // 2]})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv.gz")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv.gz", packed, 50000)


def test_invalid_utf8(small):
    project = small({"ingest/orders.yml": INGEST_YML.replace("amount, type: double", "amount, type: string"),
                     "dbt/models/twice.sql": MODEL.replace("amount * 2", "amount"),
                     "landing/orders/1.csv": b"id,amount,placed\n1,ok,2026-01-01\n2,caf\xe9,2026-01-01\n"})
    answer = run(project, expect=1)
    assert_says(answer, "landing/orders/1.csv:3", "UTF-8")
    assert state(project) == {}
    then_mended(project, "landing/orders/1.csv", "id,amount,placed\n1,ok,2026-01-01\n2,café,2026-01-01\n")


def test_a_bad_file_does_not_undo_earlier_loads(small):
    project = small()
    run(project)
    bad = add(project, "landing/orders/2.csv", "id,amount,placed\n3,x,y,z,5\n")
    project.quern("run", "daily", "--date", "2026-01-02", expect=1)
    assert state(project) == {"raw.orders": 2, "marts.twice": 2}
    bad.write_text("id,amount,placed\n3,3.5,2026-01-02\n")
    project.quern("run", "daily", "--date", "2026-01-02")
    assert state(project) == {"raw.orders": 3, "marts.twice": 3}


# --- project files -------------------------------------------------------------------------------------------------

def test_yaml_error(small):
    project = small({"ingest/orders.yml": "tables:\n  - name: orders\n    path: [landing/*.csv\n    mode: append\n"})
    for command in (("check",), ("run", "daily", "--date", "2026-01-01")):
        answer = project.quern(*command, expect=1 if command[0] == "check" else 2)
        assert_says(answer, "ingest/orders.yml:")
    assert state(project) == {}


def test_unknown_key_has_place_and_hint(small):
    project = small({"ingest/orders.yml": INGEST_YML.replace("    mode:", "    modes:")})
    answer = project.quern("check", expect=1)
    assert_says(answer, "ingest/orders.yml:4:5", "modes", "did you mean", "mode")


def test_sql_error_inside_a_macro(small):
    project = small({"dbt/macros/double.sql": "{% macro double(column) %}\n\n  case when {{ column }} > 1 then then 2 end\n\n{% endmacro %}\n",
                     "dbt/models/twice.sql": "select id,\n  {{ double('amount') }} as twice\nfrom {{ source('raw', 'orders') }}\n"})
    answer = run(project, expect=1)
    assert_says(answer, "macros/double.sql:3")
    assert state(project) == {"raw.orders": 2}
    add(project, "dbt/macros/double.sql", "{% macro double(column) %}\n{{ column }} * 2\n{% endmacro %}\n")
    run(project)
    assert state(project) == {"raw.orders": 2, "marts.twice": 2}


def test_missing_reference(small):
    project = small({"dbt/models/more.sql": "select *\nfrom {{ ref('twicee') }}\n"})
    for command in (("check",), ("run", "daily", "--date", "2026-01-01")):
        answer = project.quern(*command, expect=1 if command[0] == "check" else 2)
        assert_says(answer, "models/more.sql:2", "twicee", "did you mean", "twice")
    assert state(project) == {}


def test_sql_that_does_not_bind(small):
    project = small({"dbt/models/twice.sql": "select id,\n  amont * 2 as twice\nfrom {{ source('raw', 'orders') }}\n"})
    answer = run(project, expect=1)
    assert_says(answer, "models/twice.sql:2", "amont", "amount")
    assert state(project) == {"raw.orders": 2}


# --- the machine ---------------------------------------------------------------------------------------------------

@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(small, tiny_disk):
    project = small({"quern.yml": QUERN_YML.replace("{threads: 2", f"{{warehouse: {tiny_disk}/warehouse, threads: 2")})
    run(project)
    rows = "".join(f"{n},{n * 7919 % 100003}.25,2026-01-01\n" for n in range(3, 400000))
    add(project, "landing/orders/2.csv", "id,amount,placed\n" + rows)
    answer = project.quern("run", "daily", "--date", "2026-01-02", expect=1)
    assert_says(answer, "No space left")
    connection = tables.connect()
    warehouse = tables.delta_tables(tiny_disk / "warehouse")
    assert connection.execute(f"select count(*) from {tables.scan(warehouse['raw.orders'])}").fetchone() == (2,)
    # Nothing of the failed load stays behind that would keep the disk full.
    subprocess.run(["mount", "-o", "remount,size=60m", str(tiny_disk)], check=True)
    project.quern("run", "daily", "--date", "2026-01-02")
    assert connection.execute(f"select count(*) from {tables.scan(warehouse['raw.orders'])}").fetchone() == (399999,)


def test_read_only_folder(small, tmp_path):
    project = small()
    run(project)
    before = state(project)
    add(project, "landing/orders/2.csv", "id,amount,placed\n3,3.5,2026-01-02\n")
    orders = project.table("raw.orders")
    as_root = os.geteuid() == 0
    if as_root and shutil.which("setpriv") is None:
        pytest.skip("as root, and without setpriv to become somebody else, no folder is read-only")
    # The superuser may write everywhere: let the binary run as somebody else, who owns all but the table's folder.
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if as_root else []
    if as_root:
        for folder in (tmp_path, *tmp_path.parents):
            if str(folder) != "/" and folder.is_relative_to("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o055)
        subprocess.run(["chown", "-R", "65534:65534", str(project.folder)], check=True)
    subprocess.run(["chmod", "-R", "a-w", str(orders)], check=True)
    done = subprocess.run([*prefix, project.binary, "run", "daily", "--date", "2026-01-02", "--project-dir", str(project.folder)],
                          capture_output=True, text=True, check=False, cwd="/", env={**os.environ, "HOME": "/nonexistent"}, timeout=120)
    if done.returncode == 126 or "setpriv" in done.stderr:
        pytest.skip(f"the binary cannot be run as somebody else: {done.stderr}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "orders" in done.stdout + done.stderr and "ermission denied" in done.stdout + done.stderr
    subprocess.run(["chmod", "-R", "u+w", str(orders)], check=True)
    if as_root:
        subprocess.run(["chown", "-R", "0:0", str(project.folder)], check=True)
    assert state(project) == before
    project.quern("run", "daily", "--date", "2026-01-02")
    assert state(project) == {"raw.orders": 3, "marts.twice": 3}


def test_corrupt_delta_log(small):
    project = small()
    run(project)
    log = project.table("raw.orders") / "_delta_log"
    last = sorted(log.glob("*.json"))[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    add(project, "landing/orders/2.csv", "id,amount,placed\n3,3.5,2026-01-02\n")
    answer = project.quern("run", "daily", "--date", "2026-01-02", expect=1)
    assert_says(answer, last.name)
    assert sorted(log.glob("*.json"))[-1] == last, "something was committed on top of a corrupt log"
    last.write_bytes(whole)
    project.quern("run", "daily", "--date", "2026-01-02")
    assert state(project) == {"raw.orders": 3, "marts.twice": 3}


# --- scripts -------------------------------------------------------------------------------------------------------

SCRIPT_YML = """\
scripts:
  - name: score
    command: ["sh", "scripts/score.sh"]
    reads: [raw.orders]
    writes: [{table: raw.scores, mode: append, format: jsonl}]
    timeout: 2s
"""
WRITE = 'mkdir -p "$QUERN_OUT/raw.scores"\n'
GOOD_SCRIPT = WRITE + """echo '{"id": 1, "score": 0.5}' > "$QUERN_OUT/raw.scores/a.jsonl"\n"""


def with_script(small, script):
    return small({"scripts/score.yml": SCRIPT_YML, "scripts/score.sh": script})


def after_script_failed(project):
    assert "raw.scores" not in project.tables()
    assert state(project)["raw.orders"] == 2
    add(project, "scripts/score.sh", GOOD_SCRIPT)
    run(project)
    assert state(project) == {"raw.orders": 2, "marts.twice": 2, "raw.scores": 1}


def test_script_that_fails(small):
    project = with_script(small, GOOD_SCRIPT + "echo cannot reach the moon >&2\nexit 3\n")
    answer = run(project, expect=1)
    assert_says(answer, "script.score", "3", "cannot reach the moon")
    after_script_failed(project)


def test_script_that_hangs(small):
    project = with_script(small, GOOD_SCRIPT + "sleep 987654 &\nsleep 987654\n")
    started = time.monotonic()
    answer = run(project, expect=1)
    assert time.monotonic() - started < 30
    assert_says(answer, "script.score", "2s")
    assert subprocess.run(["pgrep", "-f", "sleep 987654"], capture_output=True, check=False).returncode == 1, "a child is left over"
    after_script_failed(project)


@pytest.mark.parametrize("lines", ['{"id": 1, "score": 0.5}\\n{"id": 2, "sco', 'not json at all'])
def test_script_that_writes_a_malformed_table(small, lines):
    project = with_script(small, WRITE + f"""printf '{lines}' > "$QUERN_OUT/raw.scores/a.jsonl"\n""")
    answer = run(project, expect=1)
    assert_says(answer, "script.score", "raw.scores/a.jsonl")
    after_script_failed(project)


def test_script_that_writes_a_broken_parquet_file(small):
    project = with_script(small, WRITE + """printf 'PAR1 and no more' > "$QUERN_OUT/raw.scores/a.parquet"\n""")
    answer = run(project, expect=1)
    assert_says(answer, "script.score", "a.parquet")
    after_script_failed(project)


def test_unknown_selector_could_not_run(small):
    project = small()
    answer = project.quern("run", "daily", "--date", "2026-01-01", "--select", "nothing_like_this", expect=2)
    assert_says(answer, "nothing_like_this")


def test_a_folder_without_a_project(binary, tmp_path):
    answer = Project(tmp_path, binary).quern("run", expect=2)
    assert_says(answer, "quern.yml")
