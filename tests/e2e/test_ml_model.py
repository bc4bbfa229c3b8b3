"""What Quern trains is a true MLflow model: mlflow.pyfunc predicts from raw columns what Quern predicts in C++."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

mlflow = pytest.importorskip("mlflow")
xgboost = pytest.importorskip("xgboost")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ["x", "flag", "carrier", "month", "distance", "fare", "hours", "nothing"]

# Numbers, truth values, text with odd characters, categories of numbers, decimals; some missing, one always.
ROWS = """
create table rows as select * exclude (late, size), late, size,
  case when size > 14 then 'große' when size > 9 then 'mid "q"' else 'it''s small' end as class, (size > 11)::integer as level
from (select *, size > 12 as late from (select *,
  coalesce(x, 3) + case when flag then 2 else 0 end + coalesce(length(carrier), 3) * 1.5 + coalesce(month, 4) % 4
    + coalesce(distance, 0) / 100.0 + fare::double / 25 + hash(id + 9) % 3 as size
from (select i as id,
  case when i % 11 = 0 then null else (hash(i) % 1000) / 100.0::double end as x,
  case when i % 17 = 0 then null else hash(i + 1) % 2 = 0 end as flag,
  case when i % 13 = 0 then null else repeat(chr(97 + (hash(i + 2) % 20)::integer), (hash(i + 2) % 4 + 1)::integer) || ' ñ"''' end as carrier,
  case when i % 19 = 0 then null else (1 + hash(i + 3) % 12)::integer end as month,
  case when i % 7 = 0 then null else (hash(i + 4) % 300)::bigint end as distance,
  ((hash(i + 5) % 500) / 10.0)::decimal(9, 1) as fare,
  (hash(i + 6) % 24)::smallint as hours,
  null::double as nothing
from range(6000) t(i))))
"""
# Rows to score have categories that training had not.
UNSEEN = """create table fresh as select * replace (case when id % 5 = 0 then 'never seen' else carrier end as carrier,
  case when id % 6 = 0 then 99 else month end as month) from rows where id >= 5000"""


@pytest.fixture(scope="module")
def shell():
    build = Path(os.environ.get("QUERN_BINARY", ROOT / "build" / "dev" / "quern")).parent
    found = [build / "model_shell", build / "tests" / "support" / "model_shell"]
    for path in found:
        if path.exists():
            return path
    pytest.skip("model_shell is not built")


def run(shell, folder, label, **train):
    plan = {
        "setup": [ROWS, UNSEEN],
        "train": {"query": "select * from rows where id < 4000 order by id",
                  "validation_query": "select * from rows where id between 4000 and 4999 order by id",
                  "key": ["id"], "label": label, "features": FEATURES, "categorical": ["month"],
                  "parameters": {"max_depth": 5, "subsample": 0.8, "colsample_bytree": 0.7}, "rounds": 40, **train},
        "folder": str(folder / "model"),
        "score": {"query": "select * from fresh", "columns": ["id", *FEATURES], "output": str(folder / "scored.parquet")},
    }
    (folder / "plan.json").write_text(json.dumps(plan), "utf-8")
    done = subprocess.run([shell, folder / "plan.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), pq.read_table(folder / "scored.parquet").to_pandas()


@pytest.mark.parametrize(("label", "train", "columns"), [
    ("late", {}, ["prediction", "score"]),
    ("late", {"class_weight": "balanced", "threshold": 0.3, "parameters": {"max_depth": 3, "max_cat_to_onehot": 30}}, ["prediction", "score"]),
    ("level", {"task": "classification"}, ["prediction", "score"]),
    ("class", {"class_weight": {"große": 3}}, ["prediction", "score", "probabilities"]),
    ("size", {}, ["prediction"]),
    ("size", {"parameters": {"grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0, "num_parallel_tree": 2}}, ["prediction"]),
])
def test_mlflow_predicts_what_quern_predicts(shell, tmp_path, label, train, columns):
    told, ours = run(shell, tmp_path, label, **train)
    assert told["scored"] == 1000
    assert told["unseen"]["carrier"] == 200
    assert told["unseen"]["month"] == sum(1 for i in range(5000, 6000) if i % 6 == 0)
    assert any("nothing" in warning for warning in told["warnings"])
    assert told["importance"]["nothing"] == [0, 0, 0]

    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    theirs = model.predict(ours[FEATURES])
    assert list(theirs.columns) == columns
    if label == "size":
        np.testing.assert_allclose(theirs["prediction"], ours["prediction"], rtol=0, atol=1e-5)
        assert ours["score"].isna().all()
        np.testing.assert_allclose(theirs["prediction"], ours["prediction"], rtol=1e-6)
        return
    np.testing.assert_allclose(theirs["score"], ours["score"], rtol=0, atol=1e-6)
    sure = (ours["score"] - train.get("threshold", 0.5)).abs() > 1e-5
    assert (theirs["prediction"] == ours["prediction"])[sure].all()
    if label == "class":
        for a, b in zip(theirs["probabilities"], ours["probabilities"]):
            a, b = json.loads(a), json.loads(b)
            assert list(a) == list(b) == ["große", "it's small", 'mid "q"']
            np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=0, atol=1e-6)


def test_margins_are_equal_to_the_bit(shell, tmp_path):
    """Before the sigmoid nothing may differ: the same trees, the same order of 32-bit sums."""
    _, ours = run(shell, tmp_path, "size")
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(ours[FEATURES])
    assert (theirs["prediction"].to_numpy() == ours["prediction"].to_numpy()).all()


def test_trained_again_gives_the_same_bytes(shell, tmp_path):
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        told, _ = run(shell, tmp_path / name, "late", threads=2)
        files.append(told["files"])
    assert files[0] == files[1]
    (tmp_path / "three").mkdir()
    told, _ = run(shell, tmp_path / "three", "late", threads=2, seed=8)
    assert told["files"]["model.ubj"] != files[0]["model.ubj"]


@pytest.fixture
def late_model(shell, tmp_path):
    told, ours = run(shell, tmp_path, "late")
    return tmp_path / "model", told, ours


def test_model_of_mlflow(late_model):
    folder, told, ours = late_model
    info = mlflow.models.get_model_info(str(folder))
    assert set(info.flavors) == {"python_function", "quern"}
    assert info.mlflow_version == "3.17.2"
    types = {column.name: getattr(column.type, "name", str(column.type)) for column in info.signature.inputs.inputs}
    assert types == {"x": "double", "flag": "Any", "carrier": "string", "month": "Any", "distance": "Any", "fare": "double",
                     "hours": "long", "nothing": "double"}
    assert [column.name for column in info.signature.outputs.inputs] == ["prediction", "score"]
    model = mlflow.pyfunc.load_model(str(folder))
    example = model.input_example
    assert list(example.columns) == FEATURES
    assert len(model.predict(example)) == len(example) == 5
    requirements = (folder / "requirements.txt").read_text().split()
    pinned = (ROOT / "tools" / "python" / "ml.txt").read_text().replace("xgboost-cpu", "xgboost").split()
    assert set(requirements) <= set(pinned)


def test_raw_columns_of_any_form(late_model):
    """Nulls as None, NaN or pd.NA; nullable and categorical types; one row; no missing value in a column that may have one."""
    folder, _, ours = late_model
    model = mlflow.pyfunc.load_model(str(folder))
    rows = ours[FEATURES]
    expected = ours["score"].to_numpy()

    def same(frame, index=slice(None)):
        np.testing.assert_allclose(model.predict(frame)["score"], expected[index], rtol=0, atol=1e-6)

    same(rows.assign(flag=rows["flag"].astype("boolean"), month=rows["month"].astype("Int32"), distance=rows["distance"].astype("Int64")))
    same(rows.assign(flag=rows["flag"].astype(object).where(rows["flag"].notna(), None)))
    same(rows.assign(carrier=rows["carrier"].astype(object).where(rows["carrier"].notna(), None)))
    whole = rows["distance"].notna() & rows["month"].notna() & rows["flag"].notna()
    same(rows[whole].astype({"distance": "int64", "month": "int64", "flag": bool}), whole.to_numpy())
    for i in (0, 1, 13, 17):
        same(rows.iloc[[i]], [i])
    with pytest.raises(Exception, match="infinite"):
        model.predict(rows.assign(x=np.inf))
    with pytest.raises(Exception, match="carrier"):
        model.predict(rows.drop(columns=["carrier"]))


def test_plain_xgboost_reads_the_model_file(late_model):
    folder, told, _ = late_model
    booster = xgboost.Booster(model_file=str(folder / "model.ubj"))
    assert booster.feature_names == FEATURES
    assert booster.num_boosted_rounds() == told["rounds"]
    for kind, place in (("gain", 0), ("weight", 1), ("cover", 2)):
        scores = booster.get_score(importance_type=kind)
        for feature in FEATURES:
            assert told["importance"][feature][place] == pytest.approx(scores.get(feature, 0), rel=1e-5)


def test_damaged_folders(shell, late_model, tmp_path):
    folder, _, _ = late_model

    def refused(name, change):
        copy = tmp_path / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change(copy / name)
        plan = {"folder": str(copy), "score": {"query": "select 1", "columns": [], "output": str(tmp_path / "x.parquet")}}
        (tmp_path / "damaged.json").write_text(json.dumps(plan))
        done = subprocess.run([shell, tmp_path / "damaged.json"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "Q1305" in done.stderr and str(copy / name) in done.stderr, done.stderr

    for name in ("MLmodel", "features.json", "model.ubj"):
        refused(name, lambda path: path.unlink())
        refused(name, lambda path: path.write_bytes(path.read_bytes()[:-200]))
        refused(name, lambda path: path.write_bytes(b""))
    refused("features.json", lambda path: path.write_text(path.read_text().replace('"format": 1', '"format": 2')))


SCRIPT = """
import json, os
import mlflow, pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression

features = json.loads(os.environ["QUERN_FEATURES"])
rows, held = (pd.read_parquet(os.environ[name]) for name in ("QUERN_TRAIN_DATA", "QUERN_VALIDATION_DATA"))
label = os.environ["QUERN_LABEL"]
kind = LinearRegression if os.environ["QUERN_TASK"] == "regression" else LogisticRegression
model = kind(**json.loads(os.environ["QUERN_PARAMETERS"])).fit(rows[features].fillna(0), rows[label])
proba = {} if kind is LinearRegression else {"pyfunc_predict_fn": "predict_proba"}
mlflow.sklearn.save_model(model, os.environ["QUERN_MODEL_DIR"], serialization_format="cloudpickle", **proba)
with open(os.environ["QUERN_METRICS"], "w") as file:
    json.dump({"score": model.score(held[features].fillna(0), held[label])}, file)
"""


@pytest.mark.parametrize(("label", "task", "classes"), [
    ("late", "classification", ["false", "true"]), ("class", "multiclass", ["große", "it's small", 'mid "q"']), ("size", "regression", [])])
def test_trainer_that_is_a_script(shell, tmp_path, label, task, classes):
    """scikit-learn trains, Quern's scorer gives the same columns as for its own models."""
    pytest.importorskip("sklearn")
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    features = ["x", "hours"]
    query = "select * replace (coalesce(x, 0) as x) from rows where id {} order by id"
    plan = {"setup": [ROWS], "work": str(tmp_path / "work"), "folder": str(tmp_path / "model"), "script": f"python {tmp_path}/train.py",
            "train": {"query": query.format("< 4000"), "validation_query": query.format("between 4000 and 4999"), "label": label,
                      "features": features, "task": task, "classes": classes, "parameters": {"fit_intercept": True}},
            "score": {"query": query.format(">= 5000"), "columns": ["id"], "output": str(tmp_path / "scored.parquet")}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), "utf-8")
    (tmp_path / "work").mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run([shell, tmp_path / "plan.json"], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["score"] > 0.1
    assert list((tmp_path / "work").iterdir()) == []
    scored = pq.read_table(tmp_path / "scored.parquet").to_pandas()
    assert list(scored.columns) == ["id", "prediction", "score"] + (["probabilities"] if task == "multiclass" else [])
    assert sorted(scored["id"]) == list(range(5000, 6000))
    if task == "regression":
        assert scored["score"].isna().all() and scored["prediction"].between(-50, 50).all()
        return
    assert set(scored["prediction"]) <= set(classes)
    assert scored["score"].between(0, 1).all()
    if task == "multiclass":
        for row in scored.itertuples():
            assert json.loads(row.probabilities)[row.prediction] == row.score
