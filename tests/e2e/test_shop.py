"""What `quern init` writes is a project that runs, and gives what dbt-core gives."""

from datetime import date, timedelta

import dbt_core
import pytest
import tables
from quern_project import ROOT, Project

FIRST = date(2026, 1, 1)


@pytest.fixture(scope="module")
def shop(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    Project(folder, binary).quern("init", "shop", in_project=False, cwd=folder)
    made = Project(folder / "shop", binary)
    made.quern("check")
    made.quern("backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-14")
    return made


def test_init_writes_the_example(shop):
    source = ROOT / "examples" / "shop"
    written = {path.relative_to(source): path.read_bytes() for path in source.rglob("*")
               if path.is_file() and not {"warehouse", ".quern", "target", "logs"} & set(path.relative_to(source).parts)}
    for path, content in written.items():
        assert (shop.folder / path).read_bytes() == content, path


def test_init_refuses_a_folder_with_something_in_it(binary, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine.txt").write_text("keep me")
    answer = Project(tmp_path, binary).quern("init", "shop", in_project=False, cwd=tmp_path, expect=2)
    assert "shop" in answer.text
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["mine.txt"]


def test_fortnight_adds_up(shop):
    assert shop.query("select count(*), sum(orders)::bigint from {marts.daily_sales}") == [(14, 789)]
    assert shop.query("select count(*), count(distinct order_id) from {marts.fct_orders}") == [(789, 789)]
    assert shop.query("select sum(amount)::varchar from {marts.daily_sales}") == shop.query(
        "select sum(amount)::varchar from {marts.store_sales}")


def test_one_run_over_everything_works_too(project):
    once = project("shop")
    once.quern("run", "daily", "--date", "2026-01-14")
    assert once.count("marts.fct_orders") == 789


@pytest.mark.slow
def test_dbt_core_gives_equal_tables(shop, tmp_path):
    steps = []
    for day in range(14):
        raw = {}
        for table in ("stores", "products", "customers", "orders", "order_items"):
            folder = shop.table(f"raw.{table}")
            raw[f"raw.{table}"] = tables.scan(folder, tables.version_after(folder, str(FIRST + timedelta(days=day))))
        steps.append({"raw": raw, "arguments": ["build", "--quiet", "--select", "+tag:daily",
                                                *([] if day == 13 else ["--exclude-resource-type", "test"])]})
    database = tmp_path / "shop.duckdb"
    dbt_core.play({"project": str(shop.folder / "dbt"), "database": str(database), "database_variable": "SHOP_DUCKDB",
                   "work": str(tmp_path / "dbt"), "steps": steps}, time_zone="America/Lima")
    connection = tables.connect()
    connection.execute(f"attach {tables.quoted(database)} as core (read_only)")
    ours = {name: folder for name, folder in shop.tables().items() if not name.startswith("raw.")}
    theirs = {f"{schema}.{table}" for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'core' and schema_name <> 'raw'").fetchall()}
    assert theirs == set(ours)
    found = {name: tables.difference(connection, tables.scan(folder), f"core.{name}") for name, folder in ours.items()}
    assert {name: text for name, text in found.items() if text} == {}
