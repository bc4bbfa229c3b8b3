#!/usr/bin/env python3
"""Prints mlflow_schema.sql from a database that `mlflow db upgrade sqlite:///FILE` has made: dump_schema.py FILE

Statements as SQLite keeps them, a blank line between two: tests compare them with what the mlflow package makes.
"""
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
statements = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
for table in ("alembic_version", "workspaces"):
    for row in database.execute(f"SELECT * FROM {table}"):
        values = ", ".join("NULL" if v is None else "'" + str(v).replace("'", "''") + "'" for v in row)
        statements.append(f"INSERT INTO {table} VALUES ({values})")
assert not any("\n\n" in s for s in statements)
print("\n\n".join(statements))
