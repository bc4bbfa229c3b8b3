"""Training sets as other Delta readers see them, and their digests computed by nothing of Quern's."""
import json
import os
import pathlib
import subprocess

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from digest import digest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHELL = os.environ.get("QUERN_DATASET_SHELL", str(ROOT / "build/dev/dataset_shell"))

SOURCE = """
CREATE SCHEMA f;
CREATE TABLE f.visits AS SELECT i AS id, timezone('UTC', TIMESTAMP '2024-01-01' + to_hours(i::INTEGER)) AS at,
    DATE '2024-01-01' + (i // 24)::INTEGER AS day, CASE WHEN i % 7 <> 0 THEN i / 3 END AS amount,
    CASE WHEN i % 5 <> 0 THEN 'tûwn' || (i % 4) END AS town, i % 3 = 0 AS repeated, (i % 11)::SMALLINT AS visits,
    i::DECIMAL(9, 2) / 4 AS price, 'abc'[i % 3 + 1] AS grade FROM range(500) r(i);
"""
MODEL = """
models:
  - name: grade
    dataset: {from: f.visits, key: [id, day], time: at, label: grade}
"""
CLASSES = {pa.types.is_boolean: "b", pa.types.is_integer: "i", pa.types.is_floating: "f", pa.types.is_date: "d"}


def ask(root, **request):
    done = subprocess.run([SHELL], input=json.dumps({"root": str(root), **request}), capture_output=True, text=True)
    assert done.stdout, f"dataset_shell ended with {done.returncode}: {done.stderr[-2000:]}"
    answer = json.loads(done.stdout)
    assert "error" not in answer, answer["error"]
    return answer


def class_of(kind):
    for fits, letter in CLASSES.items():
        if fits(kind):
            return letter
    if pa.types.is_timestamp(kind):
        return "z" if kind.tz else "n"
    return "t"


def test_the_digest_is_what_a_delta_reader_computes(tmp_path):
    record = ask(tmp_path, sql=SOURCE, do="save", models=MODEL, **{"from": "2024-02-01", "to": "2024-03-01"})
    table = DeltaTable(record["location"], version=record["version"])
    assert table.metadata().configuration["delta.appendOnly"] == "true"
    rows = pa.table(table.to_pyarrow_table())
    rows = rows.filter(pc.equal(rows["training_set"], record["training_set"])).drop_columns(["training_set"])
    assert rows.num_rows == record["rows"] == 500
    columns = {field.name: class_of(field.type) for field in rows.schema}
    assert columns == {"id": "i", "day": "d", "at": "z", "amount": "f", "town": "t", "repeated": "b", "visits": "i",
                       "price": "f", "grade": "t"}
    assert digest(columns, rows.to_pylist()) == record["digest"]
    assert ask(tmp_path, do="verify", record=record)["equal"]


def test_the_record_lies_in_the_commit(tmp_path):
    record = ask(tmp_path, sql=SOURCE, do="save", models=MODEL, **{"from": "2024-02-01", "to": "2024-03-01"})
    commit = DeltaTable(record["location"]).history(1)[0]
    kept = commit["quernTrainingSet"]
    kept = json.loads(kept) if isinstance(kept, str) else kept
    assert kept["digest"] == record["digest"]
    assert kept["sources"] == {"f.visits": 0}
