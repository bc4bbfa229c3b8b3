"""What we write reads equal in the PyPI deltalake package, and what it writes reads equal here, also when both take turns."""

import datetime
import decimal
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake

UTC = datetime.timezone.utc


@pytest.fixture
def warehouse(binary, tmp_path):
    shell = binary.parent / "warehouse_shell"
    assert shell.exists(), f"{shell} is not there: build it"
    return Warehouse(shell, tmp_path / "w", tmp_path)


class Warehouse:
    def __init__(self, shell, root, scratch):
        self.shell, self.root, self.scratch = shell, root, scratch
        self.compared = 0

    def run(self, *statements):
        """The rows of the last statement."""
        text = "\n".join(" ".join(s.split()) for s in statements)
        done = subprocess.run([self.shell, self.root], input=text, capture_output=True, text=True, timeout=120)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        for statement, answer in zip(statements, answers):
            assert "error" not in answer, (statement, answer["error"])
        assert len(answers) == len(statements), done.stderr
        return answers[-1]["rows"]

    def path(self, table):
        schema, _, name = table.rpartition(".")
        return str(self.root / (schema or "main") / name)

    def delta(self, table, version=None):
        return DeltaTable(self.path(table), version=version)

    def same(self, table, theirs, at=""):
        """Both have the same rows, compared both ways by their own types."""
        self.compared += 1
        file = self.scratch / f"theirs-{self.compared}.parquet"
        pq.write_table(theirs, file)
        columns = ", ".join(f'"{name}"' for name in theirs.column_names)
        ours, others = f"(SELECT {columns} FROM {table}{at})", f"(SELECT {columns} FROM read_parquet('{file}'))"
        [[count, rows, more, fewer]] = self.run(
            f"SELECT (SELECT count(*) FROM {table}{at}), (SELECT count(*) FROM {others}),"
            f" (SELECT count(*) FROM (FROM {ours} EXCEPT ALL FROM {others})),"
            f" (SELECT count(*) FROM (FROM {others} EXCEPT ALL FROM {ours}))"
        )
        assert (count, more, fewer) == (rows, 0, 0), (table, at)
        return count


def queried(delta):
    """By DataFusion, which reads deletion vectors; the pyarrow reader of the package does not."""
    return pa.table(QueryBuilder().register("t", delta).execute("SELECT * FROM t").read_all())


ALL_TYPES = """SELECT range AS id, range % 2 = 0 AS bo, (range % 100)::TINYINT AS ti, range::SMALLINT AS si, range::INTEGER AS i,
  (range / 3)::FLOAT AS f, range / 7 AS d, (range / 4)::DECIMAL(9, 2) AS de, (range * 1000000007)::DECIMAL(38, 9) AS dl,
  'ä' || range AS s, encode('b' || range) AS bl, DATE '2013-01-01' + range::INTEGER AS da,
  TIMESTAMP '2013-05-01 01:02:03.456789' + INTERVAL (range) SECOND AS ts, TIMESTAMPTZ '2013-05-01 01:02:03.456789+02' + INTERVAL (range) HOUR AS tz,
  CASE WHEN range % 3 > 0 THEN [range, NULL] END AS l, {'a': range, 'b': {'c': 'x' || range}} AS st, MAP {'k' || range: range / 2} AS m,
  NULL::VARCHAR AS n FROM range(200)"""


def test_all_types_read_equal(warehouse):
    warehouse.run(f"CREATE TABLE t AS {ALL_TYPES}", "INSERT INTO t(id) VALUES (NULL)")
    delta = warehouse.delta("t")
    assert delta.version() == 1
    types = {f.name: str(f.type) for f in delta.schema().to_arrow()}
    assert "UTC" in types["tz"] and "UTC" not in types["ts"]
    assert warehouse.same("t", queried(delta)) == 201
    assert warehouse.same("t", queried(warehouse.delta("t", 0)), " AT (VERSION => 0)") == 200


def test_statistics_are_used_and_right(warehouse):
    warehouse.run(f"CREATE TABLE t AS {ALL_TYPES}", "INSERT INTO t(id, s) VALUES (5000, repeat('z', 50)), (NULL, NULL)")
    actions = pa.table(warehouse.delta("t").get_add_actions(flatten=True)).to_pylist()
    by_rows = {a["num_records"]: a for a in actions}
    first, second = by_rows[200], by_rows[2]
    assert (first["min.id"], first["max.id"], first["null_count.id"]) == (0, 199, 0)
    assert (second["min.id"], second["max.id"], second["null_count.id"]) == (5000, 5000, 1)
    assert (first["min.st.a"], first["max.st.a"]) == (0, 199)
    assert first["min.da"] == datetime.date(2013, 1, 1)
    assert first["min.tz"] <= datetime.datetime(2013, 4, 30, 23, 2, 3, 456789, UTC)
    assert first["max.tz"] >= datetime.datetime(2013, 4, 30, 23, 2, 3, 456789, UTC) + datetime.timedelta(hours=199)
    assert first["min.de"] == decimal.Decimal("0.00") and first["max.de"] == decimal.Decimal("49.75")
    assert second["null_count.bo"] == 2
    assert second["max.s"] is None or second["max.s"] >= "z" * 32
    found = pa.table(QueryBuilder().register("t", warehouse.delta("t")).execute("SELECT id FROM t WHERE id = 5000 AND s > 'zz'").read_all())
    assert found.num_rows == 1


def test_partitions_read_equal(warehouse):
    warehouse.run(
        """CREATE TABLE t PARTITIONED BY (region, day, moment) AS SELECT range AS id, ['eu', 'us east', NULL, 'a/b =%?#ä'][range % 4 + 1] AS region,
        DATE '2013-05-01' + (range % 2)::INTEGER AS day, TIMESTAMPTZ '2013-05-01 00:00:00.5+00' + INTERVAL (range % 3) HOUR AS moment FROM range(100)"""
    )
    delta = warehouse.delta("t")
    assert delta.metadata().partition_columns == ["region", "day", "moment"]
    assert warehouse.same("t", queried(delta)) == 100
    assert delta.to_pyarrow_table(filters=[("region", "=", "us east")]).num_rows == 25
    warehouse.run("DELETE FROM t WHERE region = 'a/b =%?#ä' AND id < 50", "UPDATE t SET region = NULL WHERE id = 99")
    warehouse.same("t", queried(warehouse.delta("t")))


@pytest.mark.parametrize("vectors", ["true", "false"])
def test_changes_read_equal(warehouse, vectors):
    warehouse.run(
        f"""CREATE TABLE t WITH ("delta.enableDeletionVectors" = {vectors}) AS SELECT range AS id, 'v' || range AS v FROM range(10000)""",
        "DELETE FROM t WHERE id % 7 = 0",
        "UPDATE t SET v = v || '!' WHERE id BETWEEN 100 AND 200",
        "MERGE INTO t USING (SELECT range * 2 AS id FROM range(7000)) s ON t.id = s.id WHEN MATCHED AND s.id % 5 = 0 THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET v = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new')",
        "DELETE FROM t WHERE id < 10",
    )
    delta = warehouse.delta("t")
    for version in range(delta.version() + 1):
        warehouse.same("t", queried(warehouse.delta("t", version)), f" AT (VERSION => {version})")
    assert ("deletionVectors" in (delta.protocol().reader_features or [])) == (vectors == "true")


def test_checkpoints_are_read_by_both(warehouse):
    warehouse.run(
        "CREATE TABLE t(id BIGINT, p VARCHAR, s STRUCT(a INTEGER)) PARTITIONED BY (p)",
        *(f"INSERT INTO t SELECT range, 'p' || range % 3, {{'a': {i}}} FROM range(30)" for i in range(24)),
        "DELETE FROM t WHERE id = 7",
    )
    log = warehouse.root / "main/t/_delta_log"
    assert len(list(log.glob("*.checkpoint.parquet"))) >= 2
    for version in range(15):
        (log / f"{version:020}.json").unlink()
    assert warehouse.same("t", queried(warehouse.delta("t"))) == 24 * 29
    warehouse.delta("t").create_checkpoint()  # theirs, over ours
    for version in range(15, 25):
        (log / f"{version:020}.json").unlink()
    warehouse.run("INSERT INTO t VALUES (1000, 'p9', NULL)")
    assert warehouse.same("t", queried(warehouse.delta("t"))) == 24 * 29 + 1


def theirs():
    n = 300
    start = datetime.datetime(2013, 5, 1, 1, 2, 3, 456789)
    return pa.table({
        "id": pa.array(range(n), pa.int64()),
        "bo": pa.array([None if i % 5 == 0 else i % 2 == 0 for i in range(n)]),
        "ti": pa.array([i % 100 for i in range(n)], pa.int8()),
        "i": pa.array(range(n), pa.int32()),
        "f": pa.array([i / 3 for i in range(n)], pa.float32()),
        "d": pa.array([float("nan") if i == 7 else i / 7 for i in range(n)]),
        "de": pa.array([decimal.Decimal(i) / 4 for i in range(n)], pa.decimal128(12, 2)),
        "s": pa.array([None if i % 11 == 0 else f"ü{i}" for i in range(n)]),
        "bl": pa.array([bytes([i % 256, 0]) for i in range(n)]),
        "da": pa.array([datetime.date(2013, 1, 1) + datetime.timedelta(days=i) for i in range(n)]),
        "ts": pa.array([start + datetime.timedelta(seconds=i) for i in range(n)], pa.timestamp("us")),
        "tz": pa.array([start.replace(tzinfo=UTC) + datetime.timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
        "l": pa.array([[i, None] if i % 3 else None for i in range(n)], pa.list_(pa.int64())),
        "st": pa.array([{"a": i, "b": {"c": f"x{i}"}} if i % 4 else None for i in range(n)]),
        "m": pa.array([[(f"k{i}", i)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
        "p": pa.array([["x", "y z", None, "a/b=%"][i % 4] for i in range(n)]),
    })


@pytest.mark.parametrize("partitions", [None, ["p"], ["p", "da", "bo"]])
def test_what_they_write_reads_equal(warehouse, partitions):
    warehouse.run("SELECT 1")
    path = warehouse.path("t")
    write_deltalake(path, theirs(), partition_by=partitions, configuration={"delta.checkpointInterval": "3"})
    assert warehouse.same("t", theirs()) == 300
    write_deltalake(path, theirs().slice(0, 50), mode="append")
    delta = DeltaTable(path)
    delta.delete("id >= 100 AND id < 120")
    delta.update({"s": "'changed'"}, predicate="id < 10")
    source = pa.table({"id": pa.array([5, 100000], pa.int64()), "s": ["m", "m"]})
    delta.merge(source, "t.id = s.id", "s", "t").when_matched_update({"s": "s.s"}).when_not_matched_insert({"id": "s.id", "s": "s.s"}).execute()
    delta.create_checkpoint()
    for version in range(DeltaTable(path).version() + 1):
        warehouse.same("t", queried(DeltaTable(path, version=version)), f" AT (VERSION => {version})")
    write_deltalake(path, theirs().append_column("added", pa.array(range(300))), mode="overwrite", schema_mode="overwrite", partition_by=partitions)
    assert warehouse.same("t", queried(DeltaTable(path))) == 300


def test_both_append_to_each_others_tables(warehouse):
    rows = lambda a, b: pa.table({"id": pa.array(range(a, b), pa.int64()), "k": pa.array([i % 3 for i in range(a, b)], pa.int64())})
    warehouse.run("CREATE TABLE ours AS SELECT range AS id, range % 3 AS k FROM range(10)")
    write_deltalake(warehouse.path("others"), rows(0, 10))
    for turn in range(1, 6):
        for table in ("ours", "others"):
            write_deltalake(warehouse.path(table), rows(turn * 100, turn * 100 + 5), mode="append")
            warehouse.run(
                f"INSERT INTO {table} SELECT range + {turn * 100 + 50}, range % 3 FROM range(5)",
                f"UPDATE {table} SET k = 99 WHERE id = {turn * 100}",
            )
            DeltaTable(warehouse.path(table)).delete(f"id = {turn * 100 + 1}")
            assert warehouse.same(table, queried(DeltaTable(warehouse.path(table)))) == 10 + turn * 9
    assert warehouse.run("SELECT count(*), count(DISTINCT id) FROM ours") == [[55, 55]]


def test_they_see_replacements_history_and_transactions(warehouse):
    warehouse.run("CREATE TABLE t AS SELECT 1 AS a", "CREATE OR REPLACE TABLE t AS SELECT 'x' AS b, 2 AS c", "COMMENT ON TABLE t IS 'about it'")
    delta = warehouse.delta("t")
    assert [h["operation"] for h in delta.history()] == ["SET TBLPROPERTIES", "CREATE OR REPLACE TABLE AS SELECT", "CREATE TABLE AS SELECT"]
    assert queried(delta).to_pylist() == [{"b": "x", "c": 2}]
    assert delta.metadata().description == "about it"
    assert queried(warehouse.delta("t", 0)).to_pylist() == [{"a": 1}]
    write_deltalake(
        warehouse.path("t"), pa.table({"b": ["y"], "c": pa.array([3], pa.int32())}), mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction("their-app", 4)]),
    )
    warehouse.run("INSERT INTO t VALUES ('z', 4)")
    assert warehouse.delta("t").transaction_version("their-app") == 4
    warehouse.same("t", queried(warehouse.delta("t")))


def test_the_outside_corpora_read_equal(warehouse, tmp_path):
    """Every version of every outside table that both read has the same rows."""
    from pathlib import Path

    data = next((p for p in (Path(__file__).parents[2] / ".." / "shared" / "data", Path(__file__).parents[2] / "../../shared/data") if p.is_dir()), None)
    if data is None or not list(data.glob("delta-*.tar.zst")):
        pytest.skip("the outside corpora of Delta tables do not lie beside the checkout")
    for archive in data.glob("delta-*.tar.zst"):
        unpack(archive, tmp_path / "unpacked" / archive.name)
    for archive in list((tmp_path / "unpacked").rglob("*.tar.zst")):
        if archive.is_file():
            unpack(archive, archive.parent)
    (warehouse.root / "c").mkdir(parents=True)
    compared, both_refuse, only_ours, only_theirs, different = 0, [], [], [], []
    statements, wanted = [], []
    for number, log in enumerate(sorted((tmp_path / "unpacked").rglob("_delta_log"))):
        (warehouse.root / "c" / f"t{number}").symlink_to(log.parent)
        versions = sorted(int(f.stem) for f in log.glob("*.json") if f.stem.isdigit() and len(f.stem) == 20)
        # They need a minute for the later versions of the one with 300,000 files.
        for version in versions[-3:][: 1 if log.parent.name.startswith("300k-add-files") else 3]:
            try:
                table = queried(DeltaTable(str(log.parent), version=version))
            except BaseException:  # some of their refusals are panics
                table = None
            statements.append(f"SELECT count(*) FROM (SELECT * FROM c.t{number} AT (VERSION => {version})) WHERE random() >= 0")
            wanted.append((f"{log.parent.name}@{version}", None if table is None else table.num_rows))
    done = subprocess.run([warehouse.shell, warehouse.root], input="\n".join(statements), capture_output=True, text=True, timeout=600)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(statements)
    for (name, rows), answer in zip(wanted, answers):
        ours = None if "error" in answer else answer["rows"][0][0]
        if ours is None and rows is None:
            both_refuse.append(name)
        elif rows is None:
            only_ours.append(name)
        elif ours is None:
            only_theirs.append((name, answer["error"]["message"]))
        elif ours != rows:
            different.append((name, ours, rows))
        else:
            compared += 1
    print(f"{compared} equal; both refuse {len(both_refuse)}; only we read {len(only_ours)}; only they read {only_theirs}")
    assert not different
    assert compared > 150


def unpack(archive, folder):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True, capture_output=True)
