#!/usr/bin/env python3
"""Benchmarks, each beside its peer in the same run. One line of JSON a measure:

    {"name", "who", "seconds", "peak_mb", "repeats", ...}

usage: ./dev bench [NAME...]     names: year startup ingest commits shop training_set predict drift (all by default)

Times are wall time of whole processes, the least of the repeats; peak_mb is the largest resident set of the process. Every
measure asserts that its result is right.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUERN = os.environ.get("QUERN_BINARY", str(ROOT / "build/dev/quern"))
PYTHON = sys.executable
ML_PYTHON = os.environ.get("QUERN_ML_PYTHON", PYTHON)  # of tools/python/ml.txt
DBT = str(pathlib.Path(PYTHON).parent / "dbt")
MADE_BY_RUNS = shutil.ignore_patterns(".quern", "warehouse", "target")


def timed(argv, cwd=None):
    """(seconds, peak resident MB, output) of a process that must end with 0."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        child = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv))} ended with {child.returncode}:\n{text[-3000:]}")
    return seconds, usage.ru_maxrss / 1000, text


def measure(name, who, repeats, run, **more):
    results = [run() for _ in range(repeats)]
    figures = {"seconds": round(min(r[0] for r in results), 4), "peak_mb": round(max(r[1] for r in results), 1)}
    print(json.dumps({"name": name, "who": who, **figures, "repeats": repeats, **more}), flush=True)


def query(project, sql):
    """Rows of a query on a project's warehouse, as dictionaries."""
    out = subprocess.run([QUERN, "sql", "--project-dir", str(project), "--output", "json", sql], check=True, capture_output=True)
    return json.loads(out.stdout)


def empty_project(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "quern.yml").write_text("name: bench\n")
    return path


def bench_year(work):
    """Twelve months of flights through the whole graph."""

    def run():
        project = work / "flights"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(ROOT / "examples/flights", project, ignore=MADE_BY_RUNS)
        took = timed([QUERN, "backfill", "monthly", "--from", "2013-01-01", "--to", "2013-12-31", "--project-dir", project])
        assert query(project, "select count(*) as n from raw.outcomes")[0]["n"] == 336776
        return took

    measure("year_of_flights", "quern", 2, run)


def bench_startup(work):
    project = work / "flights"
    shutil.copytree(ROOT / "examples/flights", project, ignore=MADE_BY_RUNS)
    measure("startup_version", "quern", 20, lambda: timed([QUERN, "--version"]))
    measure("startup_version", "dbt-core", 3, lambda: timed([DBT, "--version"]))
    measure("startup_ls", "quern", 20, lambda: timed([QUERN, "ls", "--project-dir", project]))
    measure("startup_ls", "dbt-core", 3, lambda: timed([DBT, "ls", "--project-dir", project / "dbt", "--profiles-dir", project / "dbt",
                                                       "--target", "duckdb"]))


COLUMNS = {"id": "bigint", "customer": "bigint", "name": "varchar", "amount": "double", "at": "timestamp", "day": "date", "flag": "boolean"}


def make_csv(path, megabytes):
    import duckdb

    rows = megabytes * 1_000_000 // 68
    duckdb.sql(
        f"""COPY (SELECT range AS id, range % 5000 AS customer, 'name ' || (range * 7919 % 100003) AS name,
            round((range * 31 % 100000) / 7.0, 2) AS amount, TIMESTAMP '2020-01-01' + to_seconds(range % 100000000) AS at,
            DATE '2020-01-01' + (range % 1000)::int AS day, range % 3 = 0 AS flag FROM range({rows})) TO '{path}' (HEADER)"""
    )
    return rows


DLT = """
import csv, dlt, itertools
def rows():
    with open({path!r}) as f:
        yield from itertools.islice(csv.DictReader(f), {rows})
pipeline = dlt.pipeline("bench", pipelines_dir={state!r}, destination=dlt.destinations.filesystem({out!r}), dataset_name="raw")
pipeline.run(rows(), table_name="big", table_format="delta", write_disposition="append")
"""


def bench_ingest(work):
    """A 1 GB CSV into a table: types inferred over the whole input, and declared."""
    path = work / "big.csv"
    rows = make_csv(path, 1000)
    facts = {"csv_mb": round(path.stat().st_size / 1e6), "rows": rows}
    for declared in (False, True):
        name = "ingest_csv_declared_types" if declared else "ingest_csv_inferred_types"
        columns = "    columns:\n" + "".join(f"      - {{name: {n}, type: {t}}}\n" for n, t in COLUMNS.items())

        def ours():
            project = empty_project(work / "project")
            (project / "ingest").mkdir()
            os.link(path, project / "big.csv")
            (project / "ingest/big.yml").write_text("tables:\n  - name: big\n    path: big.csv\n    mode: append\n" + (columns if declared else ""))
            took = timed([QUERN, "run", "-s", "ingest.big", "--project-dir", project])
            assert query(project, "select count(*) as n from raw.big")[0]["n"] == rows
            return took

        types = "{" + ", ".join(f"'{n}': '{t}'" for n, t in COLUMNS.items()) + "}"
        how = f"columns={types}" if declared else "sample_size=-1"
        copy = (
            f"import duckdb; c = duckdb.connect(); c.execute(\"COPY (FROM read_csv('{path}', {how})) TO '{work}/big.parquet'\"); "
            f"assert c.execute(\"SELECT count(*) FROM '{work}/big.parquet'\").fetchone()[0] == {rows}"
        )
        for _ in range(2):  # in turns, so that what else the machine does falls on both
            measure(name, "quern", 1, ours, **facts)
            measure(name, "duckdb copy to parquet", 1, lambda: timed([PYTHON, "-c", copy]), **facts)
    part = rows // 50
    script = DLT.format(path=str(path), rows=part, state=str(work / "dlt"), out=(work / "dlt_out").as_uri())
    measure("ingest_csv_inferred_types", "dlt", 1, lambda: timed([PYTHON, "-c", script]), rows=part, note="a fiftieth of the rows")


def bench_commits(work):
    """1,000 one-row appends in one process."""
    n = 1000
    script = work / "commits.sql"
    inserts = "".join(f"insert into s.t values ({i}, 'row {i}');\n" for i in range(n))
    script.write_text("create schema if not exists s;\ncreate table s.t (id bigint, name varchar);\n" + inserts)

    def ours():
        project = empty_project(work / "project")
        took = timed([QUERN, "sql", "--project-dir", project, "--output", "csv", "-f", script])
        assert query(project, "select count(*) as n from s.t")[0]["n"] == n
        return took

    theirs = f"""
import pyarrow as pa, shutil
from deltalake import DeltaTable, write_deltalake
path = {str(work / 'delta_rs')!r}
shutil.rmtree(path, ignore_errors=True)
for i in range({n}):
    write_deltalake(path, pa.table({{'id': [i], 'name': [f'row {{i}}']}}), mode='append')
assert DeltaTable(path).to_pyarrow_table().num_rows == {n}
"""
    for _ in range(2):
        measure("thousand_small_commits", "quern", 1, ours, commits=n)
        measure("thousand_small_commits", "delta-rs", 1, lambda: timed([PYTHON, "-c", theirs]), commits=n)


def bench_shop(work):
    """dbt build of the shop, both into a DuckDB file with the same loaded tables."""
    import duckdb
    import yaml
    from deltalake import DeltaTable

    project = work / "shop"
    timed([QUERN, "init", "shop", project])
    measure("shop_first_run", "quern", 1, lambda: timed([QUERN, "run", "--project-dir", project]))
    dbt = project / "dbt" if (project / "dbt/dbt_project.yml").exists() else project
    file = work / "shop.duckdb"
    db = duckdb.connect(str(file))
    db.execute("create schema if not exists raw")
    for log in (project / "warehouse/raw").glob("*/_delta_log"):
        loaded = DeltaTable(str(log.parent)).to_pyarrow_table()  # noqa: F841 (DuckDB reads it by name)
        db.execute(f"create table raw.{log.parent.name} as select * from loaded")
    db.close()
    profiles = work / "profiles"
    profiles.mkdir()
    output = {"type": "duckdb", "path": str(file), "threads": 2}
    name = yaml.safe_load((dbt / "dbt_project.yml").read_text())["profile"]
    (profiles / "profiles.yml").write_text(yaml.safe_dump({name: {"target": "dev", "outputs": {"dev": output}}}))
    common = ["build", "--project-dir", dbt, "--profiles-dir", profiles, "--target-path", work / "target"]
    measure("shop_dbt_build", "quern", 5, lambda: timed([QUERN, "dbt", *common]))
    measure("shop_dbt_build", "dbt-core with dbt-duckdb", 3, lambda: timed([DBT, *common]))


def bench_training_set(work):
    """A training set of ten million rows with a point-in-time join: built, checked, written and digested; then verified."""
    shell = str(pathlib.Path(QUERN).parent / "dataset_shell")
    rows = 10_000_000
    model = """models:
  - name: late
    dataset:
      from: f.labeled
      key: id
      time: day
      label: late
      exclude: [tailnum]
      join: {table: f.planes, on: tailnum, valid_from: since, valid_to: until, ttl: 90 days, columns: operator}
"""
    source = f"""CREATE SCHEMA f; CREATE TABLE f.labeled AS SELECT i AS id, DATE '2012-01-01' + (hash(i) % 360)::INTEGER AS day,
        'N' || (hash(i + 1) % 4000) AS tailnum, hash(i + 2) % 100 < 22 AS late, (hash(i + 3) % 5000) / 7.0 AS distance,
        (hash(i + 4) % 24)::INTEGER AS hour, CASE WHEN hash(i + 5) % 10 > 2 THEN (hash(i + 5) % 1000) / 3 END AS wind,
        'C' || (hash(i + 6) % 16) AS carrier, 'A' || (hash(i + 7) % 100) AS origin, (hash(i + 8) % 12)::INTEGER AS month,
        hash(i + 9) % 3 = 0 AS weekend, (hash(i + 10) % 100000) / 1000.0 AS temp FROM range({rows}) r(i);
        CREATE TABLE f.planes AS SELECT 'N' || (i % 4000) AS tailnum, timezone('UTC', TIMESTAMP '2011-12-01' + INTERVAL
        (i // 4000 * 30) DAY) AS since, timezone('UTC', TIMESTAMP '2011-12-31' + INTERVAL (i // 4000 * 30) DAY) AS until,
        'op' || (hash(i) % 9) AS operator FROM range(48000) r(i)"""

    def ask(**request):
        (work / "request.json").write_text(json.dumps({"root": str(work / "warehouse"), "memory_limit": "800MB", **request}))
        seconds, peak, text = timed(["sh", "-c", f"exec {shell} < {work / 'request.json'}"])
        return seconds, peak, json.loads(text)

    ask(sql=source)
    saved = {}

    def save():
        shutil.rmtree(work / "warehouse/training", ignore_errors=True)
        seconds, peak, record = ask(do="save", models=model, zone="America/New_York", **{"from": "2013-01-01", "to": "2013-02-01"})
        assert record["rows"] == rows and saved.get("digest", record["digest"]) == record["digest"]
        saved.update(record)
        return seconds, peak

    def verify():
        seconds, peak, answer = ask(do="verify", record=saved)
        assert answer["equal"] and answer["rows"] == rows
        return seconds, peak

    measure("training_set_10m", "quern", 2, save)
    measure("training_set_10m_verify", "quern", 2, verify)


PREDICT_ROWS = """select i, (hash(i) % 1000) / 100.0::double as distance, (hash(i + 1) % 1000) / 10.0::double as fare, (hash(i + 2) % 100)::integer as age,
  hash(i + 3) % 2 = 0 as holiday, 'carrier' || (hash(i + 4) % 16) as carrier, 'o' || (hash(i + 5) % 100) as destination, (hash(i + 6) % 24)::integer as hour,
  case when hash(i + 7) % 10 = 0 then null else (hash(i + 8) % 3000)::double end as seats, (hash(i + 9) % 365)::integer as day,
  (hash(i + 10) % 12)::integer as month from range({rows}) t(i)"""


def bench_predict(work):
    """10 million rows of ten features, three of them text or categories, through 200 trees of depth 6, into a Parquet file."""
    shell = pathlib.Path(QUERN).parent / "model_shell"
    rows, part = 10_000_000, 500_000
    features = ["distance", "fare", "age", "holiday", "carrier", "destination", "hour", "seats", "day", "month"]
    late = "(distance + fare / 10 + age / 20.0 + holiday::int + ascii(carrier[-1:]) % 5 + ln(1 + coalesce(seats, 100)) + hash(i + 99) % 5) > 22"
    folder, out = work / "model", work / "predictions.parquet"

    def plan(name, **content):
        (work / name).write_text(json.dumps({"threads": os.cpu_count(), "folder": str(folder), **content}))
        return work / name

    train = {"query": f"select *, {late} as late from ({PREDICT_ROWS.format(rows=200_000)}) order by i", "key": ["i"], "label": "late", "features": features,
             "categorical": ["month"], "parameters": {"max_depth": 6}, "rounds": 200, "early_stopping": 0, "threads": os.cpu_count()}
    timed([shell, plan("train.json", train=train)])

    def ours():
        score = {"query": PREDICT_ROWS.format(rows=rows), "columns": ["i"], "output": str(out)}
        seconds, peak, told = timed([shell, plan("score.json", score=score)])
        assert json.loads(told)["scored"] == rows
        return seconds, peak, told

    facts = {"features": len(features), "trees": 200}
    measure("predict_ten_million_rows", "quern", 2, ours, rows=rows, **facts)
    theirs = f"""
import duckdb, mlflow.pyfunc
rows = duckdb.connect().execute({PREDICT_ROWS.format(rows=part)!r}).df()
got = mlflow.pyfunc.load_model({str(folder)!r}).predict(rows)
ours = duckdb.connect().execute("select score from '{out}' where i < {part} order by i").df()
assert abs(got["score"].to_numpy() - ours["score"].to_numpy()).max() < 1e-6
"""
    measure("predict", "mlflow with xgboost", 1, lambda: timed([ML_PYTHON, "-c", theirs]), rows=part, note="a twentieth of the rows", **facts)


EVIDENTLY = """
import json, sys
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
definition = DataDefinition(numerical_columns=[c for c in reference if c[0] == "x"], categorical_columns=[c for c in reference if c[0] == "c"])
report = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(f, data_definition=definition) for f in (current, reference)))
print(json.dumps({m["config"]["column"]: float(m["value"]) for m in report.dict()["metrics"] if m["config"].get("column")}))
"""


def make_features(path, rows, shift, seed):
    """40 columns of numbers (with and without gaps, whole and rounded ones) and 10 of text."""
    columns = []
    for i in range(50):
        u = f"hash(i * {2 * i + 1} + {seed}) / 18446744073709551616.0"
        kinds = [f"sqrt(-2 * ln({u} + 1e-18)) + {shift}", f"CASE WHEN {u} > 0.05 THEN -ln({u}) * (1 + {shift}) END", f"CAST({u} * 1000 AS BIGINT)", f"round({u} * 100, 2)"]
        text = f"'value ' || CAST(floor({u} * {u} * {[5, 40, 300, 12, 2][i % 5]}) AS BIGINT)"
        columns.append(f"{kinds[i % 4]} AS x{i}" if i < 40 else f"{text} AS c{i}")
    write_parquet(f"SELECT {', '.join(columns)} FROM range({rows}) r(i)", path)
    return [[f"x{i}", "numeric"] if i < 40 else [f"c{i}", "category"] for i in range(50)]


def write_parquet(query, path):
    # In a process of its own: a process's largest resident set counts what it was forked from.
    sql = f"SET memory_limit = '2GB'; COPY ({query}) TO '{path}' (FORMAT parquet)"
    timed([PYTHON, "-c", f"import duckdb; duckdb.execute({sql!r})"])


def bench_drift(work):
    """Drift of 50 columns: a million rows against a million, beside Evidently; then ten million against a million."""
    shell = str(pathlib.Path(QUERN).parent / "metrics_shell")
    reference, current, large = (work / f"{name}.parquet" for name in ("reference", "current", "large"))
    features = make_features(reference, 1_000_000, 0, 1)
    make_features(current, 1_000_000, 0.05, 2)
    columns = ", ".join(f"{name} + copy * 1e-9 AS {name}" if kind == "numeric" else name for name, kind in features)
    write_parquet(f"SELECT {columns} FROM '{current}', range(10) r(copy)", large)
    every = ["psi", "jensenshannon", "wasserstein", "ks", "chisquare", "hellinger"]
    values = {}

    def ours(path, methods, rows):
        request = {"do": "drift", "reference": f"FROM '{reference}'", "current": f"FROM '{path}'", "features": features, "methods": methods, "memory_limit": "600MB"}
        (work / "request.json").write_text(json.dumps(request))
        seconds, peak, text = timed(["sh", "-c", f"exec {shell} < {work / 'request.json'}"])
        results = json.loads(text)["results"]
        assert len(results) == (50 if not methods else 40 * 5 + 10 * 4) and all(r["value"] is not None for r in results)
        assert results[0]["current_rows"] == rows
        values.update({r["feature"]: r["value"] for r in results if r["is_default"]})
        return seconds, peak

    def theirs():
        (work / "peer.py").write_text(EVIDENTLY)
        seconds, peak, text = timed([ML_PYTHON, "-W", "ignore", work / "peer.py", reference, current])
        found = json.loads(text.splitlines()[-1])
        assert len(found) == 50 and all(abs(found[name] - values[name]) < 1e-9 for name in found)
        return seconds, peak

    measure("drift_50_columns_1m", "quern", 3, lambda: ours(current, [], 1_000_000), methods="Evidently's default for each column")
    measure("drift_50_columns_1m", "evidently", 1, theirs, methods="its default for each column")
    measure("drift_50_columns_1m", "quern", 3, lambda: ours(current, every, 1_000_000), methods="all six of each column")
    measure("drift_50_columns_10m", "quern", 1, lambda: ours(large, every, 10_000_000), methods="all six of each column")


ALL = {
    "year": bench_year,
    "startup": bench_startup,
    "ingest": bench_ingest,
    "commits": bench_commits,
    "shop": bench_shop,
    "training_set": bench_training_set,
    "predict": bench_predict,
    "drift": bench_drift,
}


def main():
    names = sys.argv[1:] or list(ALL)
    for name in names:
        if name not in ALL:
            sys.exit(f"there is no benchmark '{name}'; there are {', '.join(ALL)}")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="quern-bench-") as work:
            ALL[name](pathlib.Path(work))


if __name__ == "__main__":
    main()
