"""Models that others train: scripts in Python, and champions that a client of MLflow registered."""

import glob
import os
import sqlite3
import sys

import pytest
import visits_project

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("sklearn")

TRAINER = """
import json, os
import mlflow.sklearn, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

given = os.environ
rows = pd.read_parquet(given["QUERN_TRAIN_DATA"])
features, categorical = json.loads(given["QUERN_FEATURES"]), json.loads(given["QUERN_CATEGORICAL"])
numbers = [name for name in features if name not in categorical]
model = make_pipeline(
    ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), categorical), ("n", SimpleImputer(), numbers)]),
    LogisticRegression(max_iter=500, C=json.loads(given["QUERN_PARAMETERS"]).get("C", 1.0)))
model.fit(rows[features], rows[given["QUERN_LABEL"]])
mlflow.sklearn.save_model(model, given["QUERN_MODEL_DIR"], pyfunc_predict_fn="predict_proba",
                          input_example=rows[features].head(3), serialization_format="cloudpickle")
json.dump({"trained_rows": len(rows)}, open(given["QUERN_METRICS"], "w"))
"""
MODEL = (visits_project.MODEL
         .replace("parameters: {grid: {max_depth: [2, 4]}}\n      fixed: {eta: 0.3}\n      rounds: 20\n      early_stopping: 5",
                  "trainer: {command: [python, train.py]}\n      task: classification")
         .replace("[{last: 3 days}, all]", "[all]")
         .replace("auc < baseline.auc - 0.01 or age > 3 days", "age > 30 days"))
ENVIRONMENT = {"PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}


def scripted(project, label="o.missed\n"):
    files = visits_project.files(days=4)
    files["train.py"] = TRAINER
    files["ml/missed.yml"] = MODEL.replace("o.missed\n", label)
    made = project(files=files)
    made.environment = ENVIRONMENT
    return made


def runs(project, kind):
    connection = sqlite3.connect(project.folder / ".quern" / "mlflow.db")
    return [row[0] for row in connection.execute("select run_uuid from tags where key = 'quern.kind' and value = ?", (kind,))]


def test_a_script_trains_on_every_feature_of_the_dataset(project):
    made = scripted(project, "CASE WHEN o.missed THEN 'stayed away' WHEN NOT o.missed THEN 'came' END AS missed\n")
    made.quern(*visits_project.backfill(3))
    assert {row[0] for row in made.query("select distinct prediction from {predictions.missed}")} == {"came", "stayed away"}
    judged = made.query("select auc, dummy_auc, log_loss < dummy_log_loss, positive_share from {monitoring.missed_performance} where slice = ''")
    assert judged[0][0] > 0.55 and judged[0][1] == 0.5 and judged[0][2] and 0.2 < judged[0][3] < 0.5
    assert glob.glob(str(made.folder / ".quern" / "work" / "*")) == []


@pytest.mark.slow
def test_another_script_is_another_training(project):
    made = scripted(project)
    made.quern(*visits_project.backfill(2))
    first = runs(made, "candidate")
    answer = made.quern("model", "reproduce", first[0], "--output", "json").json()["runs"][0]
    assert answer["equal"], answer
    script = made.folder / "train.py"
    script.write_text(TRAINER.replace("C=json.loads(given", "C=0.01 + 0 * json.loads(given"))
    answer = made.quern("model", "reproduce", first[0], "--output", "json", expect=1).json()["runs"][0]
    assert "code" in answer["different"] and "train.py" in next(p["note"] for p in answer["parts"] if p["part"] == "code")
    made.quern("backfill", "daily", "--from", "2026-03-02", "--to", "2026-03-02", "--rerun")
    assert len(runs(made, "candidate")) == len(first) + 1
    champion = sqlite3.connect(made.folder / ".quern" / "mlflow.db").execute(
        "select v.run_id from registered_model_aliases as a join model_versions as v on a.name = v.name and a.version = v.version "
        "where a.alias = 'champion'").fetchall()
    assert champion[0][0] not in first


@pytest.mark.slow
def test_a_champion_of_another_flavor(project):
    """A client of MLflow registers a model of its own and makes it champion: it predicts, is judged, and outlives a rerun."""
    made = project(files=visits_project.files())
    made.quern(*visits_project.backfill(3))
    import pandas as pd
    import pyarrow

    features = ["waited", "age", "channel", "reminded"]

    class Rule(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return (0.2 + 0.3 * (model_input["channel"] == "web") + 0.25 * ~model_input["reminded"].astype(bool)).to_numpy()

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(f"sqlite:///{made.folder}/.quern/mlflow.db")
    mlflow.set_registry_uri(f"sqlite:///{made.folder}/.quern/mlflow.db")
    try:
        mlflow.set_experiment(experiment_id=mlflow.create_experiment("by hand", artifact_location=str(made.folder / "theirs")))
        example = pd.DataFrame({"waited": [1.5], "age": [30], "channel": ["web"], "reminded": [True]})[features]
        with mlflow.start_run():
            info = mlflow.pyfunc.log_model(name="model", python_model=Rule(), input_example=example, registered_model_name="missed",
                                           pip_requirements=[f"mlflow=={mlflow.__version__}", f"pandas=={pd.__version__}", f"pyarrow=={pyarrow.__version__}"])
        version = int(info.registered_model_version)
        mlflow.MlflowClient().set_registered_model_alias("missed", "champion", str(version))
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
    made.quern("backfill", "daily", "--from", "2026-03-04", "--to", "2026-03-05", timeout=600)
    scores = made.query(f"select count(*), min(score), max(score) from {{predictions.missed}} where model_version = {version}")
    assert scores == [(300, pytest.approx(0.2), pytest.approx(0.75))]
    judged = made.query(f"select auc > 0.5, labeled from {{monitoring.missed_performance}} where slice = '' and model_version = {version}")
    assert judged == [(True, 150)]
    assert made.quern("model", "verify", "--output", "json").json()["good"]
    made.quern("backfill", "daily", "--from", "2026-03-05", "--to", "2026-03-05", "--rerun", timeout=600)
    assert made.quern("model", "list", "--output", "json").json()["models"][0]["champion"] == version
    made.quern("model", "rollback", "missed", expect=None)
    made.quern("model", "promote", "missed", f"v{version}")
    assert made.quern("model", "list", "--output", "json").json()["models"][0]["champion"] == version
