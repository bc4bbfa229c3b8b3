"""A few rounds of tests/crash.py; by hand it plays a hundred."""

import os
import sys

import pytest
from quern_project import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import crash  # noqa: E402


@pytest.mark.parametrize("name, rounds, kills", [
    ("shop", 1, 4),
    pytest.param("flights_spring", 1, 4, marks=pytest.mark.slow),
    pytest.param("repairs", 1, 4, marks=pytest.mark.slow),
])
def test_a_killed_backfill_ends_with_the_same_tables(binary, tmp_path, name, rounds, kills):
    seed = int(os.environ.get("QUERN_CRASH_SEED", "20130501"))
    assert crash.play(name, binary, rounds, kills, seed, tmp_path) > 0
