"""Quern's monitoring figures of pandas frames, through the test program `metrics_shell`."""
import json
import math
import os
import pathlib
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHELL = os.environ.get("QUERN_METRICS_SHELL", str(ROOT / "build/dev/metrics_shell"))


def relation(frame, path):
    """Writes a frame (or an Arrow table) to a Parquet file and gives the query that reads it. NaN stays NaN, None is null."""
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, path)
    return f"SELECT * FROM read_parquet('{path}')"


def ask(what, **request):
    done = subprocess.run([SHELL], input=json.dumps({"do": what, **request}), capture_output=True, text=True)
    assert done.stdout, f"metrics_shell ended with {done.returncode}: {done.stderr[-2000:]}"
    answer = json.loads(done.stdout)
    assert not (isinstance(answer, dict) and "error" in answer), answer["error"]
    return answer


def same(ours, theirs, what="", tolerance=1e-9):
    """Both missing (None, NaN), or equal to 1e-9 of their size."""
    if theirs is None or (isinstance(theirs, float) and math.isnan(theirs)):
        assert ours is None, f"{what}: {ours} where the peer has nothing"
        return
    assert ours is not None, f"{what}: nothing where the peer has {theirs}"
    assert abs(ours - theirs) <= tolerance * max(1.0, abs(theirs)), f"{what}: {ours!r}, the peer has {theirs!r}"
