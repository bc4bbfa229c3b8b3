"""Reading and comparing tables: Delta tables through DuckDB's delta extension (another implementation than ours)."""

import json
import os
from pathlib import Path

import duckdb
import duckdb_extension_delta

EXTENSION = next(Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))


def connect(path=":memory:", **options):
    """A DuckDB connection that can scan Delta tables, with UTC as its time zone."""
    connection = duckdb.connect(str(path), **options)
    connection.execute(f"load '{EXTENSION}'")
    connection.execute("set timezone = 'UTC'")
    return connection


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


def scan(folder, version=None):
    """SQL that reads a Delta table."""
    return f"delta_scan({quoted(folder)}" + (f", version => {version})" if version is not None else ")")


def own_columns(connection, relation):
    """Columns of a relation as (name, type), without those that may differ between equal runs."""
    described = connection.execute(f"describe select * from {relation}").fetchall()
    return [(name, kind) for name, kind, *_ in described if not name.startswith("_quern_")]


def difference(connection, left, right):
    """What differs between two relations in columns, types or rows, as text; "" when they are equal. Rows are a multiset."""
    left_columns, right_columns = own_columns(connection, left), own_columns(connection, right)
    if sorted(left_columns) != sorted(right_columns):
        return (f"columns differ: only left {sorted(set(left_columns) - set(right_columns))},"
                f" only right {sorted(set(right_columns) - set(left_columns))}")
    names = ", ".join(f'"{name}"' for name, _ in left_columns)
    lines = []
    for what, one, other in (("left", left, right), ("right", right, left)):
        query = f"select {names} from {one} except all select {names} from {other}"
        count = connection.execute(f"select count(*) from ({query})").fetchone()[0]
        if count:
            lines.append(f"{count} rows only {what}, such as:")
            lines += [f"  {row}" for row in connection.execute(f"{query} limit 3").fetchall()]
    return "\n".join(lines)


def log_entries(folder):
    """The commits of a Delta table that lie in its log as JSON: [(version, [action, ...]), ...]."""
    entries = []
    for file in sorted((Path(folder) / "_delta_log").glob("*.json")):
        if file.stem.isdigit():
            entries.append((int(file.stem), [json.loads(line) for line in file.read_text("utf-8").splitlines() if line]))
    return entries


def version_after(folder, logical_date):
    """The table's version when the run of a logical date (ISO day in UTC or later that day) was over; None: not there yet."""
    found = None
    for version, actions in log_entries(folder):
        info = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        said = info.get("quernLogicalDate", "")
        if said[:10] <= logical_date:
            found = version
    return found


def delta_tables(warehouse):
    """All Delta tables under a warehouse's root: {"schema.table": folder}."""
    found = {}
    for folder in sorted(Path(warehouse).glob("*/*")):
        if (folder / "_delta_log").is_dir() and not folder.parent.name.startswith("."):
            found[f"{folder.parent.name}.{folder.name}"] = folder
    return found


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
