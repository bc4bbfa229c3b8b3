"""Performance metrics beside scikit-learn, to 1e-9."""
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.dummy import DummyClassifier

from metrics_shell import ask, relation, same

warnings.filterwarnings("ignore")


def by_sklearn(y, prediction, score):
    """y, prediction: arrays of bool; score: of float. What is not defined is None."""
    if len(y) == 0:
        return {}
    tn, fp, fn, tp = sk.confusion_matrix(y, prediction, labels=[False, True]).ravel()
    return {
        "accuracy": sk.accuracy_score(y, prediction),
        "precision": sk.precision_score(y, prediction),
        "recall": sk.recall_score(y, prediction),
        "f1": sk.f1_score(y, prediction),
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "auc": sk.roc_auc_score(y, score) if len(set(y)) == 2 else None,
        "average_precision": sk.average_precision_score(y, score),
        "log_loss": sk.log_loss(y, score, labels=[False, True]),
        "brier": sk.brier_score_loss(y, score, labels=[False, True], pos_label=True) if len(set(y)) < 2 else sk.brier_score_loss(y, score),
    }


def scores_of(kind, rng, n):
    if kind == "continuous":
        return rng.random(n)
    if kind == "ties":
        return rng.integers(0, 5, n) / 4
    if kind == "constant":
        return np.full(n, 0.3)
    if kind == "certain":
        return rng.integers(0, 2, n).astype(float)
    return np.round(rng.beta(0.3, 0.3, n), 3)


@pytest.mark.parametrize("kind", ["continuous", "ties", "constant", "certain", "skewed"])
@pytest.mark.parametrize("rows", [1, 2, 7, 400, 5000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_binary(tmp_path, kind, rows, share):
    rng = np.random.default_rng(rows * 7 + int(share * 100))
    score = scores_of(kind, rng, rows)
    label = rng.random(rows) < share
    known = rng.random(rows) > 0.1 if rows > 2 else np.ones(rows, bool)
    origin = rng.choice(["JFK", "LGA", None, "E=R"], rows)
    frame = pd.DataFrame(
        {
            "label": pd.array(np.where(known, label, None), dtype="boolean"),
            "prediction": np.where(score >= 0.5, "true", "false"),
            "score": score,
            "origin": origin,
        }
    )
    trained = 0.37
    answer = ask("performance", relation=relation(frame, tmp_path / "a.parquet"), slices=["origin"], dummy={"positive_share": trained})
    slices = {"": np.ones(rows, bool)}
    for value in sorted({v for v in origin}, key=str):
        slices[f"origin={value if value is not None else 'null'}"] = np.array([v == value for v in origin])
    assert {a["slice"] for a in answer} == set(slices)
    assert answer[0]["slice"] == ""
    for one in answer:
        here = slices[one["slice"]] & known
        assert (one["rows"], one["labeled"]) == (slices[one["slice"]].sum(), here.sum())
        theirs = by_sklearn(label[here], score[here] >= 0.5, score[here])
        for name, value in one["metrics"].items():
            same(value, theirs.get(name), f"{one['slice']} {name}")
        baseline = by_sklearn(label[here], np.full(here.sum(), trained > 0.5), np.full(here.sum(), trained))
        for name, value in one["dummy"].items():
            same(value, baseline.get(name), f"{one['slice']} dummy {name}")
        bins = [b for b in one["calibration"] if b[2] > 0]
        assert sum(b[2] for b in bins) == here.sum()
        if here.sum() and len(set(label[here])) == 2:
            shares, means = calibration_curve(label[here], score[here], n_bins=10)
            assert len(shares) == len(bins)
            for b, share_, mean in zip(bins, shares, means):
                same(b[3], mean, "calibration")
                same(b[4], share_, "calibration")


def test_binary_without_rows_scores_or_predictions(tmp_path):
    frame = pd.DataFrame({"label": pd.array([True, False, None], dtype="boolean"), "prediction": ["true", None, "true"], "score": [np.nan, 0.2, np.inf]})
    query = relation(frame, tmp_path / "a.parquet")
    (empty,) = ask("performance", relation=query + " WHERE false")
    assert (empty["rows"], empty["labeled"], empty["positive_share"]) == (0, 0, None)
    assert set(empty["metrics"].values()) == {None}
    (one,) = ask("performance", relation=query)
    assert (one["rows"], one["labeled"]) == (3, 2)
    assert one["metrics"]["accuracy"] == 1 and one["metrics"]["auc"] is None
    same(one["metrics"]["log_loss"], sk.log_loss([False], [0.2], labels=[False, True]))
    (one,) = ask("performance", relation=query, score="")
    assert one["metrics"]["accuracy"] == 1 and one["metrics"]["log_loss"] is None and one["metrics"]["average_precision"] is None
    margins = pd.DataFrame({"label": [True, False, True], "prediction": ["true", "false", "true"], "score": [3.0, -1.0, -2.0]})
    (one,) = ask("performance", relation=relation(margins, tmp_path / "b.parquet"))
    same(one["metrics"]["auc"], sk.roc_auc_score([1, 0, 1], [3, -1, -2]))
    assert one["metrics"]["log_loss"] is None and one["metrics"]["brier"] is None


@pytest.mark.parametrize("labels", ["text", "numbers"])
def test_binary_classes_by_name(tmp_path, labels):
    rng = np.random.default_rng(5)
    y, score = rng.random(300) < 0.4, rng.random(300)
    yes, no = ("sp'am", "ham") if labels == "text" else (1, 0)
    frame = pd.DataFrame({"label": [yes if v else no for v in y], "prediction": [str(yes if s > 0.6 else no) for s in score], "score": score})
    (one,) = ask("performance", relation=relation(frame, tmp_path / "a.parquet"), positive=str(yes))
    for name, value in by_sklearn(y, score > 0.6, score).items():
        same(one["metrics"][name], value, name)


@pytest.mark.parametrize("rows", [1, 3, 50, 3000])
@pytest.mark.parametrize("ties", [False, True])
def test_multiclass(tmp_path, rows, ties):
    rng = np.random.default_rng(rows)
    classes = ["on time", 'a"b/c~d', "late", "can'celled"]
    p = rng.dirichlet(np.ones(4), rows)
    if ties:
        p = np.round(p * 4) + 1.0
        p /= p.sum(axis=1, keepdims=True)
    label = np.array([rng.choice(classes, p=row) for row in p], dtype=object)
    prediction = np.array(classes, dtype=object)[p.argmax(axis=1)]
    known = rng.random(rows) > 0.2 if rows > 3 else np.ones(rows, bool)
    origin = rng.choice(["JFK", "LGA"], rows)
    frame = pd.DataFrame(
        {
            "label": np.where(known, label, None),
            "prediction": prediction,
            "probabilities": [json.dumps(dict(zip(classes, map(float, row)))) for row in p],
            "origin": origin,
        }
    )
    shares = {"late": 0.2, "on time": 0.5, 'a"b/c~d': 0.3}
    answer = ask(
        "performance", task="multiclass", relation=relation(frame, tmp_path / "a.parquet"), slices=["origin"], classes=classes, probabilities="probabilities", dummy={"class_shares": shares}
    )
    assert answer[0]["slice"] == ""
    order = sorted(classes)
    sorted_p = p[:, [classes.index(c) for c in order]]
    for one in answer:
        here = known & ((origin == one["slice"][len("origin=") :]) if one["slice"] else np.ones(rows, bool))
        y, z, q = label[here], prediction[here], sorted_p[here]
        assert one["labeled"] == here.sum()
        if here.sum() == 0:
            continue
        ours = one["metrics"]
        same(ours["accuracy"], sk.accuracy_score(y, z))
        same(ours["log_loss"], sk.log_loss(y, q, labels=order))
        for name, value in zip(["precision", "recall", "f1"], sk.precision_recall_fscore_support(y, z, average="macro")):
            same(ours[name], value, name)
        full = len(set(y)) == 4
        same(ours["auc"], sk.roc_auc_score(y, q, multi_class="ovr", average="macro", labels=order) if full else None, "auc")
        named = sorted(set(y) | set(z))
        matrix = sk.confusion_matrix(y, z, labels=named)
        assert one["confusion"] == {a: {b: int(matrix[i, j]) for j, b in enumerate(named) if matrix[i, j]} for i, a in enumerate(named) if matrix[i].any()}
        constant = np.tile([shares.get(c, 0.0) for c in order], (len(y), 1))
        same(one["dummy"]["log_loss"], sk.log_loss(y, constant, labels=order))
        same(one["dummy"]["accuracy"], sk.accuracy_score(y, np.full(len(y), "on time", dtype=object)))
        for name, value in zip(["precision", "recall", "f1"], sk.precision_recall_fscore_support(y, np.full(len(y), "on time", dtype=object), average="macro")):
            same(one["dummy"][name], value, name)
        assert one["dummy"]["auc"] == (0.5 if full else None)


def test_multiclass_unknown_labels_and_broken_probabilities(tmp_path):
    frame = pd.DataFrame(
        {
            "label": ["a", "b", "new", "a"],
            "prediction": ["a", "a", "b", "b"],
            "probabilities": ['{"a": 0.75, "b": 0.25}', '{"a": 0.5, "b": 0.5}', '{"a": 0.1, "b": 0.9}', '{"a": null}'],
        }
    )
    (one,) = ask("performance", task="multiclass", relation=relation(frame, tmp_path / "a.parquet"), classes=["a", "b"], probabilities="probabilities")
    # A class that the model does not know is a column of zeros to scikit-learn.
    same(one["metrics"]["log_loss"], sk.log_loss(["a", "b", "new"], [[0.75, 0.25, 0], [0.5, 0.5, 0], [0.1, 0.9, 0]], labels=["a", "b", "new"]))
    assert one["labeled"] == 4 and one["metrics"]["accuracy"] == 0.25
    (one,) = ask("performance", task="multiclass", relation=relation(frame, tmp_path / "a.parquet"))
    assert one["metrics"]["log_loss"] is None and one["metrics"]["auc"] is None and one["metrics"]["accuracy"] == 0.25


def regression_by_sklearn(y, p):
    return {
        "rmse": sk.root_mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "mape": sk.mean_absolute_percentage_error(y, p),
        "r2": sk.r2_score(y, p) if len(y) > 1 else None,
        "max_error": sk.max_error(y, p),
        "mean_error": float(np.mean(p - y)),
    }


@pytest.mark.parametrize("kind", ["normal", "offset", "zeros", "constant", "integers", "perfect"])
@pytest.mark.parametrize("rows", [1, 2, 30, 20000])
def test_regression(tmp_path, kind, rows):
    rng = np.random.default_rng(rows)
    y = rng.normal(size=rows)
    if kind == "offset":
        y += 1e6
    elif kind == "zeros":
        y[rng.random(rows) < 0.3] = 0
    elif kind == "constant":
        y[:] = 2.5
    elif kind == "integers":
        y = rng.integers(-5, 100, rows).astype(float)
    p = y.copy() if kind == "perfect" else y + rng.normal(size=rows)
    known = rng.random(rows) > 0.1 if rows > 2 else np.ones(rows, bool)
    frame = pd.DataFrame({"label": np.where(known, y, np.nan), "prediction": p, "origin": rng.choice(["JFK", "LGA"], rows)})
    if kind == "integers":
        frame["label"] = frame["label"].astype("Int64")
    frame = frame.astype({"label": "Int64" if kind == "integers" else "Float64"})
    answer = ask("performance", task="regression", relation=relation(frame, tmp_path / "a.parquet"), slices=["origin"], dummy={"mean": 0.25})
    for one in answer:
        here = known & ((frame["origin"] == one["slice"][len("origin=") :]).to_numpy() if one["slice"] else np.ones(rows, bool))
        assert one["labeled"] == here.sum()
        if not here.any():
            continue
        for name, value in regression_by_sklearn(y[here], p[here]).items():
            same(one["metrics"][name], value, f"{one['slice']} {name}")
        for name, value in regression_by_sklearn(y[here], np.full(here.sum(), 0.25)).items():
            same(one["dummy"][name], value, f"{one['slice']} dummy {name}")


def test_regression_leaves_out_what_is_no_number(tmp_path):
    frame = pd.DataFrame({"label": [1.0, np.inf, 3.0, 4.0], "prediction": [1.5, 2.0, np.nan, 3.0]})
    query = relation(frame, tmp_path / "a.parquet")
    (one,) = ask("performance", task="regression", relation=query)
    for name, value in regression_by_sklearn(np.array([1.0, 4.0]), np.array([1.5, 3.0])).items():
        same(one["metrics"][name], value, name)
    (one,) = ask("performance", task="regression", relation=query + " WHERE false", dummy={"mean": 1})
    assert one["rows"] == 0 and set(one["metrics"].values()) == {None} and set(one["dummy"].values()) == {None}
    huge = pd.DataFrame({"label": [1e300, -1e300], "prediction": [0.0, 0.0]})
    (one,) = ask("performance", task="regression", relation=relation(huge, tmp_path / "b.parquet"))
    assert one["metrics"]["r2"] is None and one["metrics"]["rmse"] is None and one["metrics"]["mae"] == 1e300


def test_dummy_ties_as_sklearn():
    assert DummyClassifier(strategy="most_frequent").fit([[0], [0]], [True, False]).predict([[0]])[0] == np.False_
