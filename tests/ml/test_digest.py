"""The digest that src/ml/dataset/training_set_test.cc expects is the one that the documentation describes."""
import datetime
import math
import re
from pathlib import Path

from digest import digest

UTC = datetime.timezone.utc


def test_the_digest_of_the_unit_test_is_the_documented_one():
    date, time = datetime.date, datetime.datetime
    columns = {"n": "i", "t": "t", "f": "f", "b": "b", "d": "d", "u": "n", "z": "z", "missing": "t"}
    rows = [
        {"n": 1, "t": "é", "f": 0.5, "b": True, "d": date(2013, 5, 1), "u": time(2013, 5, 1, 2, 3, 4, 500000),
         "z": time(2013, 5, 1, 2, 3, 4, tzinfo=UTC), "missing": None},
        {"n": -2, "t": "", "f": math.nan, "b": False, "d": date(1969, 12, 31), "u": time(1900, 1, 1),
         "z": time(2100, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "missing": "x"},
    ]
    expected = digest(columns, rows)
    source = Path(__file__).parents[2] / "src/ml/dataset/training_set_test.cc"
    assert expected in re.findall(r'"([0-9a-f]{64})"', source.read_text())
    assert digest(columns, rows[::-1]) == expected
    assert digest(columns, rows + rows[:1]) != expected
    assert digest(columns, []) == "0" * 64


def test_both_zeros_are_one():
    assert digest({"x": "f"}, [{"x": -0.0}]) == digest({"x": "f"}, [{"x": 0.0}])
