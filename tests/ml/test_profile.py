"""Profiles of features and statistics of predictions beside numpy and pandas, to 1e-9."""
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metrics_shell import ask, relation, same

QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]


def check_numbers(ours, values):
    """`values`: finite ones."""
    for name, value in {"mean": values.mean(), "stddev": values.std(ddof=1) if len(values) > 1 else None, "min": values.min(), "max": values.max()}.items():
        same(ours[name], value, name)
    for value, theirs in zip(ours["quantiles"], np.quantile(values, QUANTILES)):
        same(value, theirs, "quantile")


@pytest.mark.parametrize("rows", [1, 2, 5, 1000, 30000])
@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_profile(tmp_path, rows, memory):
    rng = np.random.default_rng(rows)
    normal = rng.normal(size=rows)
    gaps = [None if r < 0.1 else float("nan") if r < 0.2 else float("inf") if r < 0.25 else v for r, v in zip(rng.random(rows), normal)]
    table = pa.table(
        {
            "normal": normal,
            "gaps": pa.array(gaps, pa.float64()),
            "whole": rng.integers(0, 7, rows),
            "wide": rng.integers(-(10**9), 10**9, rows),
            "offset": 1e9 + normal,
            "same": np.full(rows, 2.0),
            "empty": pa.array([None] * rows, pa.float64()),
            "money": pa.array([round(float(v), 2) for v in normal]).cast(pa.decimal128(9, 2), safe=False),
            "flag": normal > 0,
        }
    )
    names = table.column_names
    answer = ask("profile", relation=relation(table, tmp_path / "a.parquet"), features=[[n, "numeric"] for n in names], memory_bytes=memory)
    for one in answer:
        column = table.column(one["name"]).cast(pa.float64(), safe=False) if one["name"] not in ("flag",) else table.column("flag").cast(pa.int8())
        raw = column.to_pandas().astype(float)
        values = raw[np.isfinite(raw)].to_numpy()
        assert one["rows"] == rows and one["nulls"] == raw.isna().sum(), one["name"]
        same(one["null_rate"], raw.isna().mean())
        assert one["cardinality"] == len(np.unique(values))
        if not len(values):
            assert one["mean"] is None and one["quantiles"] is None and one["histogram"] is None
            continue
        check_numbers(one, values)
        whole = one["name"] in ("whole", "wide", "flag")
        counts, edges = np.histogram(values.astype(np.int64) if whole else values, bins="sturges")
        assert one["histogram"]["counts"] == counts.tolist(), one["name"]
        assert np.allclose(one["histogram"]["edges"], edges, rtol=1e-12, atol=0)


def test_profile_of_categories(tmp_path):
    rng = np.random.default_rng(1)
    texts = [None if v == 0 else f"t{v:03d}" for v in rng.integers(0, 80, 3000)]
    table = pa.table({"texts": texts, "months": pa.array([None if v == 0 else int(v) for v in rng.integers(0, 13, 3000)], pa.int32())})
    answer = ask("profile", relation=relation(table, tmp_path / "a.parquet"), features=[["texts", "category"], ["months", "category"], ["nowhere", "numeric"], ["texts", "numeric"]])
    for one in answer[:2]:
        series = table.column(one["name"]).to_pandas()
        counts = series.dropna().astype(str if one["name"] == "texts" else int).astype(str).value_counts()
        assert (one["rows"], one["nulls"], one["cardinality"]) == (3000, series.isna().sum(), series.nunique())
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:50]
        assert [tuple(t) for t in one["top"]] == expected
        assert one["mean"] is None
    assert answer[2]["type"] == "" and answer[2]["rows"] == 0
    assert answer[3]["type"] == "VARCHAR" and answer[3]["nulls"] > 0 and answer[3]["mean"] is None


@pytest.mark.parametrize("rows", [1, 2, 400])
def test_predictions_of_classes(tmp_path, rows):
    rng = np.random.default_rng(rows)
    score = np.where(rng.random(rows) < 0.5, np.round(rng.random(rows), 2), rng.random(rows))
    origin = rng.choice(["JFK", "LGA"], rows)
    frame = pd.DataFrame({"prediction": np.where(score > 0.5, "true", "false"), "score": score, "origin": origin})
    answer = ask("predictions", relation=relation(frame, tmp_path / "a.parquet"), slices=["origin"])
    assert answer[0]["slice"] == "" and len(answer) == 1 + len(set(origin))
    for one in answer:
        part = frame[origin == one["slice"][len("origin=") :]] if one["slice"] else frame
        values = part["score"].to_numpy()
        check_numbers({**one, "stddev": None if one["variance"] is None else one["variance"] ** 0.5}, values)
        assert one["rows"] == len(part)
        assert one["class_shares"] == pytest.approx(part["prediction"].value_counts(normalize=True).to_dict())
        counts, edges = np.histogram(values, bins=20, range=(0, 1))
        assert one["confidence"]["counts"] == counts.tolist()
        assert np.allclose(one["confidence"]["edges"], edges)


def test_predictions_of_numbers_and_of_nothing(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=500) * 1e3
    frame = pd.DataFrame({"prediction": np.concatenate([values, [np.nan, np.inf]])})
    query = relation(frame, tmp_path / "a.parquet")
    (one,) = ask("predictions", task="regression", relation=query)
    assert one["rows"] == 502 and one["class_shares"] == {} and one["confidence"] is None
    check_numbers({**one, "stddev": one["variance"] ** 0.5}, values)
    (one,) = ask("predictions", task="regression", relation=query + " WHERE false")
    assert one["rows"] == 0 and one["mean"] is None and one["quantiles"] is None
    (one,) = ask("predictions", relation="SELECT 'a' AS prediction", score="")
    assert one["class_shares"] == {"a": 1.0} and one["confidence"] is None
    (one,) = ask("predictions", task="regression", relation="SELECT unnest([1e300, -1e300]) AS prediction")
    assert one["variance"] is None and one["max"] == 1e300
