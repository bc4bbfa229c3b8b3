"""The example's dbt project gives the same tables under dbt-core with dbt-duckdb, fed with what Quern had ingested by then."""

from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

import dbt_core
import pytest
import tables

NEW_YORK = ZoneInfo("America/New_York")
RAW = ("schedules", "outcomes", "weather", "planes", "airports", "airlines")


def local_midnight(day):
    return datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(timezone.utc).isoformat()


def steps(project):
    for month in range(1, 13):
        start = date(2013, month, 1)
        end = date(2013 + month // 12, month % 12 + 1, 1)
        raw = {}
        for table in RAW:
            folder = project.table(f"raw.{table}")
            raw[f"raw.{table}"] = tables.scan(folder, tables.version_after(folder, str(start)))
        # Values are compared, so dbt's tests need to run once only, over the whole.
        tests = [] if month == 12 else ["--exclude-resource-type", "test"]
        yield {"raw": raw, "arguments": ["build", "--quiet", "--select", "+tag:monthly", *tests],
               "vars": {"logical_date": local_midnight(start), "data_interval_start": local_midnight(start),
                        "data_interval_end": local_midnight(end)}}


@pytest.mark.slow
def test_twelve_months_give_equal_tables_and_snapshot(flights_year, tmp_path):
    database = tmp_path / "flights.duckdb"
    plan = {"project": str(flights_year.folder / "dbt"), "database": str(database), "database_variable": "FLIGHTS_DUCKDB",
            "work": str(tmp_path / "dbt"), "steps": list(steps(flights_year))}
    # Another time zone than Quern's: no model may depend on the session's.
    dbt_core.play(plan, time_zone="Asia/Tokyo")

    connection = tables.connect()
    connection.execute(f"attach {tables.quoted(database)} as core (read_only)")
    theirs = {f"{schema}.{table}" for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'core' and schema_name <> 'raw'").fetchall()}
    of_others = ("raw", "training", "predictions", "monitoring")
    ours = {name: folder for name, folder in flights_year.tables().items() if name.split(".")[0] not in of_others}
    assert theirs == set(ours)
    assert "snapshots.plane_operators" in theirs
    found = {name: tables.difference(connection, tables.scan(folder), f"core.{name}") for name, folder in ours.items()}
    assert {name: text for name, text in found.items() if text} == {}
