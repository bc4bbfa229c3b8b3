"""Plays a dbt project with dbt-core and dbt-duckdb, in a process of its own, and leaves its tables in a .duckdb file.

    python dbt_core.py PLAN.json

The plan: {"project": ..., "database": ..., "work": ..., "database_variable": ..., "steps": [{"raw": {"schema.table": SQL relation},
"vars": {...}, "arguments": [...]}, ...]}. Before each step the sources are made anew as tables.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import tables


def play(plan, time_zone="UTC", timeout=900):
    """Carries a plan out; fails with dbt's output when a step fails."""
    work = Path(plan["work"])
    work.mkdir(parents=True, exist_ok=True)
    (work / "plan.json").write_text(json.dumps(plan), "utf-8")
    done = subprocess.run([sys.executable, __file__, str(work / "plan.json")], capture_output=True, text=True, check=False,
                          timeout=timeout, env={**os.environ, "TZ": time_zone, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                                                plan["database_variable"]: plan["database"]})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]


def main():
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    for step in plan["steps"]:
        connection = tables.connect(plan["database"])
        for name, relation in step["raw"].items():
            connection.execute(f"create schema if not exists {name.split('.')[0]}")
            connection.execute(f"create or replace table {name} as select * from {relation}")
        connection.close()
        arguments = [*step["arguments"], "--project-dir", plan["project"], "--profiles-dir", plan["project"], "--target", "duckdb",
                     "--target-path", plan["work"] + "/target", "--log-path", plan["work"] + "/logs", "--no-use-colors",
                     "--vars", json.dumps(step.get("vars", {}))]
        result = dbtRunner().invoke(arguments)
        DuckDBConnectionManager.close_all_connections()  # the next step's sources are written through another connection
        if not result.success:
            raise SystemExit(f"dbt failed: {arguments}: {result.exception or 'see above'}")


if __name__ == "__main__":
    main()
