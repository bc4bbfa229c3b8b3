"""Drift beside Evidently 0.7.21, to 1e-9.

Evidently gets what its ValueDrift gives its methods: the column without infinities and missing values. Where the numbers may
differ, one by one:
- Near 0, jensenshannon and hellinger are roots of a difference of roundings, up to 1e-7 in Evidently (for categories in the
  order of a Python set, so that they differ from run to run): their squares are compared.
- jensenshannon of equal distributions can be NaN in Evidently (the root of -1e-17): 0 here.
- Where Evidently raises (a column without values, a range that cannot have bins) or gives NaN (chisquare of one category),
  there is no value here.
- chisquare and z of numbers come only where Evidently chooses them by itself.
- The standard deviation under wasserstein loses digits in Evidently when the values are far from 0 and near each other (the
  mean is rounded): the column `large` is compared to 1e-3.
- FLOAT columns are widened to DOUBLE here; Evidently computes their bins with 32 bits.
"""
import os
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType

from metrics_shell import ask, relation, same

warnings.filterwarnings("ignore")

METHODS = ["psi", "jensenshannon", "wasserstein", "ks", "chisquare", "hellinger", "kl_div", "z"]
ROOTS = {"jensenshannon", "hellinger"}
NAMES = {
    "PSI": "psi",
    "Jensen-Shannon distance": "jensenshannon",
    "Wasserstein distance (normed)": "wasserstein",
    "K-S p_value": "ks",
    "chi-square p_value": "chisquare",
    "Z-test p_value": "z",
}


def by_evidently(reference, current, kind, method):
    """(method, value, drifted) as Evidently has them, value None where it raises or gives no number."""
    clean = [column.replace([-np.inf, np.inf], np.nan).dropna() for column in (reference, current)]
    if clean[0].empty or clean[1].empty:
        return method, None, False
    test = get_stattest(clean[0], clean[1], ColumnType.Numerical if kind == "numeric" else ColumnType.Categorical, method)
    name = NAMES[test.display_name] if method is None else method
    try:
        result = test(clean[0].copy(), clean[1].copy(), ColumnType.Numerical if kind == "numeric" else ColumnType.Categorical, None)
    except ValueError:
        return name, None, False
    if not np.isfinite(result.drift_score):
        return name, None, False
    return name, float(result.drift_score), bool(result.drifted)


def drift(reference, current, kinds, tmp_path, **request):
    """Our answer for two Arrow tables."""
    return ask(
        "drift",
        reference=relation(reference, tmp_path / "reference.parquet"),
        current=relation(current, tmp_path / "current.parquet"),
        features=[[name, kind] for name, kind in kinds.items()],
        methods=METHODS,
        **request,
    )


def compare(reference, current, kinds, tmp_path, **request):
    """Compares every method of every column of two Arrow tables; gives our answer."""
    answer = drift(reference, current, kinds, tmp_path, **request)
    theirs_by, ours_by = (reference.to_pandas(), current.to_pandas()), {}
    for result in answer["results"]:
        ours_by.setdefault(result["feature"], []).append(result)
    assert list(ours_by) == list(kinds)
    for feature, results in ours_by.items():
        columns = [frame[feature] for frame in theirs_by]
        default, _, default_drifted = by_evidently(*columns, kinds[feature], None)
        (ours,) = [r for r in results if r["is_default"]]
        if default is not None:
            assert ours["method"] == default, feature
            assert ours["drifted"] == default_drifted, ours
        for result in results:
            method = result["method"]
            asked = None if method in ("chisquare", "z") and kinds[feature] == "numeric" else method
            _, value, drifted = by_evidently(*columns, kinds[feature], asked)
            what = f"{feature} {method}"
            if value is None and method == "jensenshannon" and result["value"] is not None:
                assert result["value"] < 1e-7, what
                continue
            if value is None:
                assert result["value"] is None and result["note"] and not result["drifted"], result
                continue
            assert result["drifted"] == drifted, result
            if method in ROOTS and value < 1e-5:
                assert result["value"] is not None and abs(result["value"] ** 2 - value**2) < 1e-13, (what, result["value"], value)
            else:
                same(result["value"], value, what, 1e-3 if what == "large wasserstein" else 1e-9)
    return answer


def with_gaps(values, rng, share, gaps=(None,)):
    out = list(values)
    for i in np.flatnonzero(rng.random(len(out)) < share):
        out[i] = gaps[rng.integers(len(gaps))]
    return out


def numeric_columns(rng, rows, shifted):
    shift = 0.3 if shifted else 0.0
    normal = rng.normal(size=rows) + shift
    whole = rng.integers(-40, 60 + (20 if shifted else 0), rows)
    return {
        "normal": pa.array(normal),
        "gaps": pa.array(with_gaps(normal, rng, 0.2, (None, float("nan"), float("inf"), float("-inf"))), pa.float64()),
        "rounded": pa.array(np.round(normal, 1)),
        "signed_zero": pa.array(np.where(rng.random(rows) < 0.5, 0.0, -0.0) + np.where(rng.random(rows) < 0.3, np.round(normal, 2), 0.0)),
        "whole": pa.array(whole, pa.int64()),
        "whole_gaps": pa.array(with_gaps([int(v) for v in whole], rng, 0.1), pa.int64()),
        "narrow": pa.array(rng.integers(0, 23, rows), pa.int32()),
        "many": pa.array(rng.integers(0, 10**6, rows), pa.int64()),
        "large": pa.array(2**53 + rng.integers(0, 3000, rows), pa.int64()),
        "few": pa.array(rng.integers(0, 15 + (3 if shifted else 0), rows) / 4.0),
        "five": pa.array(rng.integers(0, 5, rows).astype(float)),
        "three": pa.array(rng.integers(0, 3, rows), pa.int16()),
        "two": pa.array((rng.random(rows) < 0.3 + shift).astype(np.int8)),
        "one": pa.array(np.full(rows, 7.5)),
        "one_or_other": pa.array(np.full(rows, 1.0 + shifted)),
        "truth": pa.array(rng.random(rows) < 0.4 + shift / 3),
        "offset": pa.array(1e9 + normal),
        "tiny": pa.array(1e-12 * normal),
        "no_bins": pa.array(np.where(rng.random(rows) < 0.5, 1.0, np.nextafter(1.0, 2.0))),
        "skewed": pa.array(np.exp(3 * normal)),
        "few_then_many": pa.array(rng.integers(0, 4, rows).astype(float) if not shifted else normal),
        "many_then_few": pa.array(normal if not shifted else rng.integers(0, 4, rows).astype(float)),
        "whole_then_real": pa.array(whole, pa.int64()) if not shifted else pa.array(whole + 0.5),
        "empty": pa.array([None] * rows, pa.float64()),
        "empty_then": pa.array([None] * rows, pa.float64()) if not shifted else pa.array(normal),
        "then_empty": pa.array(normal) if not shifted else pa.array([float("nan")] * rows),
    }


def category_columns(rng, rows, shifted):
    p = rng.random(rows)
    texts = np.array(["a", "b", "é", "", "long name", "null", "NaN"], dtype=object)
    letters = texts[np.minimum((p**2 if shifted else p) * 5, 4).astype(int)]
    return {
        "letters": pa.array(letters, pa.string()),
        "letters_gaps": pa.array(with_gaps(letters, rng, 0.15), pa.string()),
        "new_one": pa.array(texts[rng.integers(0, 4 + shifted, rows)], pa.string()),
        "lost_one": pa.array(texts[rng.integers(0, 5 - shifted, rows)], pa.string()),
        "two_texts": pa.array(texts[(p < (0.4 if shifted else 0.35)).astype(int)], pa.string()),
        "one_text": pa.array(np.full(rows, "only", dtype=object), pa.string()),
        "other_text": pa.array(np.full(rows, "new" if shifted else "old", dtype=object), pa.string()),
        "ids": pa.array([f"id {v}" for v in rng.integers(0, 3 * rows, rows)], pa.string()),
        "rare": pa.array([f"r{int(v)}" for v in rng.exponential(4 + shifted, rows)], pa.string()),
        "flag": pa.array(p < 0.5),
        "flag_gaps": pa.array(with_gaps([bool(v) for v in p < 0.3], rng, 0.2), pa.bool_()),
        "months": pa.array(rng.integers(1, 13 - shifted, rows), pa.int64()),
        "months_gaps": pa.array(with_gaps([int(v) for v in rng.integers(1, 13, rows)], rng, 0.2), pa.int64()),
        "sizes": pa.array(with_gaps(rng.integers(0, 4, rows) / 2, rng, 0.2, (None, float("nan"), float("inf"))), pa.float64()),
        "no_category": pa.array([None] * rows, pa.string()),
    }


# Another one tries other data.
SEED = int(os.environ.get("QUERN_TEST_SEED", "100"))
SIZES = [(1, 1), (1, 40), (40, 1), (2, 3), (10, 10), (25, 60), (300, 450), (1000, 1000), (1001, 500), (5000, 3000), (12000, 400), (20000, 30000)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_numbers(tmp_path, sizes):
    rng = np.random.default_rng(SEED + sum(sizes))
    reference, current = (pa.table(numeric_columns(rng, n, i)) for i, n in enumerate(sizes))
    kinds = {name: "numeric" for name in reference.column_names}
    held = compare(reference, current, kinds, tmp_path, profile=True)
    # The same by the engine's sort, when the values do not fit in the memory given.
    sorted_by_engine = drift(reference, current, kinds, tmp_path, profile=True, memory_bytes=0)
    for a, b in zip(held["results"], sorted_by_engine["results"]):
        same(a["value"], b["value"], str(b))
    assert [p["cardinality"] for p in held["current"]] == [p["cardinality"] for p in sorted_by_engine["current"]]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_categories(tmp_path, sizes):
    rng = np.random.default_rng(SEED + sum(sizes))
    reference, current = (pa.table(category_columns(rng, n, i)) for i, n in enumerate(sizes))
    compare(reference, current, {name: "category" for name in reference.column_names}, tmp_path)


def test_a_column_with_itself(tmp_path):
    rng = np.random.default_rng(3)
    both = pa.table({**numeric_columns(rng, 2000, False), **category_columns(rng, 2000, False)})
    kinds = {name: "numeric" for name in numeric_columns(rng, 1, False)} | {name: "category" for name in category_columns(rng, 1, False)}
    answer = compare(both, both, kinds, tmp_path)
    for result in answer["results"]:
        assert not result["drifted"], result
    assert answer["share"] == 0


def test_columns_in_few_passes_are_the_same(tmp_path):
    rng = np.random.default_rng(4)
    reference, current = (pa.table(numeric_columns(rng, 4000, i)) for i in range(2))
    kinds = {name: "numeric" for name in reference.column_names}
    one = compare(reference, current, kinds, tmp_path)
    several = drift(reference, current, kinds, tmp_path, memory_bytes=4000 * 2 * 8 * 6, threads=3)
    assert one == several


def test_missing_columns_other_types_and_thresholds(tmp_path):
    reference = pa.table({"a": [1.0, 2.0, 3.0], "gone": [1, 2, 3], "text": ["x", "y", "z"], "mixed": [1, 2, 3]})
    current = pa.table({"a": [1.0, 2.0, 9.0], "new": [1, 2, 3], "text": ["x", "y", "y"], "mixed": ["1", "2", "4"]})
    answer = ask(
        "drift",
        reference=relation(reference, tmp_path / "r.parquet"),
        current=relation(current, tmp_path / "c.parquet"),
        features=[["a", "numeric"], ["gone", "numeric"], ["new", "category"], ["nowhere", "numeric"], ["text", "numeric"], ["mixed", "category"]],
        methods=["psi"],
        thresholds={"psi": 99},
        profile=True,
    )
    notes = {r["feature"]: r["note"] for r in answer["results"] if r["is_default"]}
    assert notes == {
        "a": "",
        "gone": "the current data have no such column",
        "new": "the reference has no such column",
        "nowhere": "there is no such column",
        "text": "the column is not numeric",
        "mixed": "",
    }
    by = {(r["feature"], r["method"]): r for r in answer["results"]}
    assert by["a", "psi"]["value"] > 0.1 and not by["a", "psi"]["drifted"] and by["a", "psi"]["threshold"] == 99
    assert by["mixed", "psi"]["value"] is not None
    for feature in ("gone", "new", "nowhere", "text"):
        assert all(r["value"] is None and not r["drifted"] for r in answer["results"] if r["feature"] == feature)
    assert [p["type"] for p in answer["current"]] == ["DOUBLE", "", "BIGINT", "", "VARCHAR", "VARCHAR"]


def test_the_report_of_evidently_says_the_same(tmp_path):
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    rng = np.random.default_rng(9)
    reference, current = (pa.table({**numeric_columns(rng, 1500, i), **category_columns(rng, 1500, i)}) for i in range(2))
    numeric = ["normal", "gaps", "whole", "few", "five", "two", "skewed"]
    category = ["letters_gaps", "flag", "months"]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=category)
    frames = [Dataset.from_pandas(t.to_pandas()[numeric + category], data_definition=definition) for t in (reference, current)]
    snapshot = Report([ValueDrift(column=name) for name in numeric + category]).run(frames[1], frames[0])
    theirs = [metric["value"] for metric in snapshot.dict()["metrics"]]
    answer = ask(
        "drift",
        reference=relation(reference, tmp_path / "r.parquet"),
        current=relation(current, tmp_path / "c.parquet"),
        features=[[name, "numeric"] for name in numeric] + [[name, "category"] for name in category],
    )
    assert len(theirs) == len(answer["results"])
    for result, value in zip(answer["results"], theirs):
        same(result["value"], float(value), result["feature"])
