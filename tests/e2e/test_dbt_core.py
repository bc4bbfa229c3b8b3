"""One dbt project, built step by step by dbt-core with dbt-duckdb, and by Quern on a .duckdb file and on the Delta warehouse: names, graph,
compiled SQL and tables are equal, and the artifacts keep dbt's schemas."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import tables
from quern_project import ROOT

CASE = ROOT / "tests" / "cases" / "dbt" / "parity"
SCHEMAS = next((p / "shared/specs/dbt/schemas" for p in ROOT.parents if (p / "shared/specs/dbt/schemas").exists()), ROOT / "no-schemas")
STEPS = (1, 2, 3)
# dbt's clock is in these
TIMES = {"dbt_valid_from", "dbt_valid_to", "dbt_updated_at", "dbt_scd_id", "valid_from", "valid_to", "changed_at", "row_id"}
BY_CLOCK = {"checked.by_check", "main_snaps.renamed", "main_snaps.gone", "main_snaps.marked"}


class Built:
    def __init__(self, folder, database=None, warehouse=None):
        self.folder, self.database, self.warehouse = folder, database, warehouse
        self.manifest = json.loads((folder / "target" / "manifest.json").read_text("utf-8"))
        self.results = json.loads((folder / "target" / "run_results.json").read_text("utf-8"))

    def relations(self, connection):
        """{schema.table: SQL that reads it}."""
        if self.warehouse:
            return {name: tables.scan(path) for name, path in tables.delta_tables(self.warehouse).items()}
        connection.execute(f"attach if not exists '{self.database}' as {self.database.stem} (read_only)")
        found = connection.execute("select schema_name, table_name from duckdb_tables() where database_name = ?", [self.database.stem]).fetchall()
        return {f"{schema}.{table}": f'"{self.database.stem}"."{schema}"."{table}"' for schema, table in found}


def play(folder, call):
    """Builds the project's steps in a folder of its own; `call(vars)` runs one."""
    shutil.copytree(CASE / "project", folder)
    for step in STEPS:
        overlay = CASE / "steps" / str(step)
        if overlay.exists():
            shutil.copytree(overlay, folder, dirs_exist_ok=True)
        call(json.dumps({"step": step}))


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "NO_COLOR": "1", "TZ": "UTC", **environment},
                          capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, " ".join(map(str, command)) + "\n" + done.stdout[-6000:] + done.stderr[-6000:]


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    folder = tmp_path_factory.mktemp("core") / "project"
    database = folder.parent / "parity.duckdb"
    dbt = Path(sys.executable).parent / "dbt"
    play(folder, lambda vars: run([dbt, "build", "--profiles-dir", ".", "--vars", vars], folder, {"PARITY_DUCKDB": str(database)}))
    return Built(folder, database=database)


@pytest.fixture(scope="module")
def on_duckdb(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("native") / "project"
    database = folder.parent / "parity.duckdb"
    play(folder, lambda vars: run([binary, "dbt", "build", "--profiles-dir", ".", "--vars", vars], folder, {"PARITY_DUCKDB": str(database)}))
    database.rename(database.parent / "ours.duckdb")  # two files of one name cannot be attached together
    return Built(folder, database=database.parent / "ours.duckdb")


@pytest.fixture(scope="module")
def on_delta(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("delta") / "project"
    warehouse = folder.parent / "warehouse"
    play(folder, lambda vars: run([binary, "dbt", "build", "--profiles-dir", ".", "--target", "quern", "--vars", vars], folder, {"PARITY_WAREHOUSE": str(warehouse)}))
    return Built(folder, warehouse=warehouse)


def without_own(part):
    return {key: value for key, value in part.items() if not key.startswith(("doc.dbt.", "macro.dbt"))}


def test_manifest_has_the_same_nodes(core, on_duckdb):
    for part in ("nodes", "sources", "exposures", "docs", "disabled"):
        assert set(without_own(core.manifest[part])) == set(without_own(on_duckdb.manifest[part])), part


def test_manifest_says_the_same_of_each_node(core, on_duckdb):
    same = ("name", "resource_type", "package_name", "path", "fqn", "alias", "database", "schema", "relation_name", "description", "columns", "meta", "config", "docs",
            "checksum", "test_metadata", "column_name", "attached_node", "file_key_name", "source_name", "identifier", "freshness", "owner", "type", "language")
    for part in ("nodes", "sources", "exposures"):
        for key, theirs in core.manifest[part].items():
            ours = on_duckdb.manifest[part][key]
            if theirs["resource_type"] == "operation":
                continue
            for field in same:
                if field == "checksum" and theirs["resource_type"] == "snapshot":
                    continue
                assert ours.get(field) == theirs.get(field), f"{key}: {field}"
            assert sorted(ours["tags"]) == sorted(theirs["tags"]), key
            assert sorted(ours.get("depends_on", {}).get("nodes", [])) == sorted(theirs.get("depends_on", {}).get("nodes", [])), key


def test_manifest_has_the_same_graph(core, on_duckdb):
    for part in ("parent_map", "child_map"):
        theirs = {key: sorted(set(value)) for key, value in core.manifest[part].items()}
        assert {key: sorted(set(value)) for key, value in on_duckdb.manifest[part].items()} == theirs


def plain(sql):
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", sql)).strip()


def test_compiled_sql_is_the_same_but_for_white_space(core, on_duckdb):
    files = sorted(path for path in (core.folder / "target" / "compiled").rglob("*") if path.is_file() and "dbt_project.yml" not in str(path))
    assert len(files) > 25
    for path in files:
        ours = on_duckdb.folder / path.relative_to(core.folder)
        if not ours.exists():
            assert "ephemeral" in (CASE / "project" / path.relative_to(core.folder / "target" / "compiled" / "parity")).read_text("utf-8"), f"{ours} is not there"
            continue
        if path.name in ("functions.sql", "spine.sql"):  # the cross-database functions are spelled otherwise; their values are compared below
            continue
        assert plain(ours.read_text("utf-8")) == plain(path.read_text("utf-8")), path.name


def statuses(built):
    return {result["unique_id"]: result["status"] for result in built.results["results"] if not result["unique_id"].startswith(("exposure.", "operation."))}


def test_results_have_the_same_status(core, on_duckdb, on_delta):
    assert statuses(on_duckdb) == statuses(core)
    assert statuses(on_delta) == statuses(core)
    failures = {r["unique_id"]: r["failures"] for r in core.results["results"] if r["unique_id"].startswith("test.")}
    assert {r["unique_id"]: r["failures"] for r in on_delta.results["results"] if r["unique_id"].startswith("test.")} == failures


def compare(core, other):
    connection = tables.connect()
    theirs, ours = core.relations(connection), other.relations(connection)
    assert set(ours) == set(theirs)
    found = {}
    for name in sorted(theirs):
        left, right = theirs[name], ours[name]
        if name in BY_CLOCK:
            columns = [column for column, _ in tables.own_columns(connection, left)]
            shown = ", ".join(f'"{column}"' if column not in TIMES else f'"{column}" is null as "{column} is null"' for column in columns)
            left, right = (f"(select {shown} from {side})" for side in (left, right))
        text = tables.difference(connection, left, right)
        if text:
            found[name] = text
    assert found == {}
    assert len(theirs) > 20


def test_tables_are_equal_on_a_duckdb_file(core, on_duckdb):
    compare(core, on_duckdb)


def test_tables_are_equal_on_the_warehouse(core, on_delta):
    compare(core, on_delta)


@pytest.mark.skipif(not SCHEMAS.exists(), reason="dbt's schemas lie beside the checkout (../shared)")
@pytest.mark.parametrize("name,schema", [("manifest", "manifest-v12"), ("run_results", "run-results-v6")])
def test_artifacts_keep_the_schemas(on_duckdb, on_delta, name, schema):
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text("utf-8")))
    for built in (on_duckdb, on_delta):
        document = json.loads((built.folder / "target" / f"{name}.json").read_text("utf-8"))
        errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(document)]
        assert errors == []
