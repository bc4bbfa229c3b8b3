#!/usr/bin/env python3
"""Fails when a file under src/ includes a part that is not below its own row (the table in ARCHITECTURE.md).

usage: check_layers.py SRC
Parts of one row do not see each other; a part that is not in ROWS fails too.
"""
import pathlib
import re
import sys

ROWS = [
    ["base"],
    ["io", "graph", "jinja", "sql"],
    ["delta", "engine", "state", "kube"],
    ["warehouse", "schedule", "tracking"],
    ["dbt", "ingest", "script", "ml", "airflow"],
    ["project"],
    ["report"],
    ["server", "deploy"],
    ["cli"],
]
RANK = {part: row for row, parts in enumerate(ROWS) for part in parts}
INCLUDE = re.compile(r'\s*#\s*include\s+"(\w+)/')


def main() -> int:
    src = pathlib.Path(sys.argv[1])
    found = 0
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        part = path.relative_to(src).parts[0]
        if part not in RANK:
            print(f"{path}: the part '{part}' has no row in tools/check_layers.py")
            found += 1
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match[1] != part and RANK.get(match[1], len(ROWS)) >= RANK[part]:
                print(f"{path}:{number}: {part} may not include {match[1]}")
                found += 1
    print(f"layers: {found} violations")
    return 1 if found else 0


sys.exit(main())
