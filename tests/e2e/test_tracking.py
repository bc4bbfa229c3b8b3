"""What Quern records, the mlflow package lists right from `sqlite:///`; what its client writes, Quern reads right."""

import hashlib
import json
import math
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

mlflow = pytest.importorskip("mlflow", reason="mlflow is in the environment of tools/python/ml.txt only")

import pandas as pd  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

LOADER = """
class Model:
    def predict(self, frame, params=None):
        return frame["a"] * 2 + (frame["c"] == "x")

def _load_pyfunc(path):
    return Model()
"""
SIGNATURE = '[{"type": "double", "name": "a", "required": true}, {"type": "string", "name": "c", "required": true}]'


def run_id(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def model_id(run, name):
    """As tracking::ModelId has it."""
    return "m-" + hashlib.sha256(f"quern model\n{run}\n{name}".encode()).hexdigest()[:32]


def model_files(run, name):
    flavor = {"python_function": {"loader_module": "tiny_loader", "code": "code", "env": {"virtualenv": "python_env.yaml"}}}
    mlmodel = {
        "flavors": flavor,
        "mlflow_version": mlflow.__version__,
        "model_id": model_id(run, name),
        "run_id": run,
        "signature": {"inputs": SIGNATURE, "outputs": '[{"type": "double", "required": true}]', "params": None},
        "utc_time_created": "2013-06-01 04:00:00.000000",
    }
    return {
        "model/MLmodel": json.dumps(mlmodel),  # JSON is YAML
        "model/code/tiny_loader.py": LOADER,
        "model/requirements.txt": "mlflow\n",
        "model/python_env.yaml": "python: 3.11\n",
        "query.sql": "SELECT 1",
        "plots/auc.svg": "<svg/>",
    }


class Tracking:
    """A tracking database and its shell; the client works on the same file."""

    def __init__(self, shell, folder):
        self.shell, self.folder = shell, folder
        self.path, self.artifacts = folder / "mlflow.db", folder / "artifacts"
        self.uri = f"sqlite:///{self.path}"

    def start(self, *commands):
        text = "\n".join(json.dumps(c) for c in commands)
        return subprocess.run(
            [self.shell, self.path, self.artifacts], input=text, capture_output=True, text=True, timeout=120
        )

    def do(self, *commands):
        """The answer of the last command."""
        done = self.start(*commands)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(commands), done.stderr
        for command, answer in zip(commands, answers):
            assert not isinstance(answer, dict) or "error" not in answer, (command, answer)
        return answers[-1]

    def client(self):
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


@pytest.fixture
def tracking(binary, tmp_path, monkeypatch):
    shell = binary.parent / "tracking_shell"
    assert shell.exists(), f"{shell} is not there: build it"
    folder = tmp_path / "a project's ä"
    folder.mkdir()
    monkeypatch.chdir(folder)  # the client puts artifacts of its own experiments below ./mlruns
    tracking = Tracking(shell, folder)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking.uri)
    mlflow.set_registry_uri(tracking.uri)
    yield tracking
    mlflow.set_tracking_uri(before)


PARENT, CHILD, OTHER = run_id("parent"), run_id("child 1"), run_id("child 2")
DATASET = {
    "name": "training.late_arrival",
    "digest": "0123456789abcdef",
    "source": json.dumps({"path": "/w/training/late_arrival", "version": 3, "training_set": "monthly/2013-05-01/all"}),
    "schema": json.dumps({"mlflow_colspec": [{"type": "double", "name": "a", "required": True}]}),
    "profile": json.dumps({"num_rows": 9}),
    "context": "training",
    "tags": {"quern.version": "3"},
}


def training(candidate, auc, start):
    run = run_id(f"child {candidate}")
    return {
        "do": "record",
        "experiment": "late_arrival",
        "run_id": run,
        "parent": PARENT,
        "name": f"candidate {candidate}",
        "start": start,
        "end": start + 5_000,
        "user": "ann",
        "params": {"eta": "0.1", "max_depth": str(candidate)},
        "tags": {"quern.schedule": "monthly"},
        "metrics": [["auc", auc], ["log_loss", 0.1 + 0.2], ["nan", None]]
        + [["validation/logloss", 1 / (step + 1), step, start + step] for step in range(40)],
        "datasets": [DATASET, {**DATASET, "digest": "f" * 16, "context": "evaluation"}],
        "model": {"name": "late_arrival", "artifact_path": "model", "model_type": "xgboost"},
        "files": model_files(run, "late_arrival"),
    }


@pytest.fixture
def trained(tracking):
    """A parent, two candidates, the second promoted after the first."""
    parent = {"do": "record", "experiment": "late_arrival", "run_id": PARENT, "name": "monthly/2013-05-01"}
    promote = {"do": "promote", "model": "late_arrival", "tags": {"quern.schedule": "monthly"}}
    tracking.do(
        {**parent, "start": 1_370_000_000_000, "end": 1_370_000_060_000, "files": {"report.txt": "ok"}},
        training(1, 0.71, 1_370_000_001_000),
        training(2, 0.82, 1_370_000_002_000),
        {**promote, "run_id": CHILD, "effect": "monthly/2013-04-01", "description": "the first"},
        {**promote, "run_id": OTHER, "effect": "monthly/2013-05-01", "description": "better"},
    )
    return tracking


def lines_of(sql):
    """The package writes the constraints of a table, and makes indexes, in another order each time."""
    return sorted(line.strip().rstrip(",") for line in sql.splitlines()) if sql else None


def schema_of(path):
    with sqlite3.connect(path) as database:
        entries = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        rows = {t: database.execute(f"SELECT * FROM {t}").fetchall() for t in ("alembic_version", "workspaces")}
        return {entry[:3]: lines_of(entry[3]) for entry in entries}, rows


def test_schema_is_that_of_the_package(tracking, tmp_path):
    tracking.do({"do": "experiments"})
    theirs = tmp_path / "theirs.db"
    subprocess.run(
        [Path(sys.executable).parent / "mlflow", "db", "upgrade", f"sqlite:///{theirs}"],
        check=True,
        capture_output=True,
    )
    assert schema_of(tracking.path) == schema_of(theirs)


def test_package_opens_ours_without_migration(tracking):
    tracking.do({"do": "experiments"})
    before = schema_of(tracking.path)
    assert [e.name for e in tracking.client().search_experiments()] == ["Default"]
    assert schema_of(tracking.path) == before
    from mlflow.store.db.utils import _all_tables_exist, _verify_schema, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(tracking.uri)
    assert _all_tables_exist(engine)
    _verify_schema(engine)
    # What the package's models say and what is in the file differ in the same few points as in a file of its own.
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from mlflow.store.db.base_sql_model import Base

    with engine.connect() as connection:
        assert not [d for d in compare_metadata(MigrationContext.configure(connection), Base.metadata) if d[0] == "add_table"]


def test_runs_are_listed_right(trained):
    client = trained.client()
    experiment = client.get_experiment_by_name("late_arrival")
    assert experiment.lifecycle_stage == "active"
    assert experiment.artifact_location == (trained.artifacts / experiment.experiment_id).as_uri()
    runs = client.search_runs([experiment.experiment_id])
    assert [r.info.run_id for r in runs] == [OTHER, CHILD, PARENT]
    children = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{PARENT}' and metrics.auc > 0.8", order_by=["metrics.auc DESC"]
    )
    assert [r.info.run_id for r in children] == [OTHER]

    run = client.get_run(OTHER)
    assert (run.info.run_name, run.info.status, run.info.user_id) == ("candidate 2", "FINISHED", "ann")
    assert (run.info.start_time, run.info.end_time) == (1_370_000_002_000, 1_370_000_007_000)
    assert run.info.artifact_uri == (trained.artifacts / "1" / OTHER / "artifacts").as_uri()
    assert run.data.params == {"eta": "0.1", "max_depth": "2"}
    assert run.data.metrics["auc"] == 0.82
    assert run.data.metrics["log_loss"] == 0.1 + 0.2
    assert math.isnan(run.data.metrics["nan"])
    assert run.data.metrics["validation/logloss"] == 1 / 40
    assert run.data.tags == {
        "mlflow.parentRunId": PARENT,
        "mlflow.runName": "candidate 2",
        "mlflow.source.name": "quern",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": "ann",
        "quern.schedule": "monthly",
    }
    assert client.get_parent_run(OTHER).info.run_id == PARENT
    history = client.get_metric_history(OTHER, "validation/logloss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (s, 1 / (s + 1), 1_370_000_002_000 + s) for s in range(40)
    ]
    frame = mlflow.search_runs(experiment_names=["late_arrival"], order_by=["metrics.auc DESC"])
    assert list(frame["run_id"][:2]) == [OTHER, CHILD]


def test_dataset_inputs_are_listed_right(trained):
    inputs = trained.client().get_run(OTHER).inputs.dataset_inputs
    found = {i.dataset.digest: i for i in inputs}
    assert set(found) == {"0123456789abcdef", "f" * 16}
    one = found["0123456789abcdef"]
    assert (one.dataset.name, one.dataset.source_type) == ("training.late_arrival", "delta")
    assert json.loads(one.dataset.source)["version"] == 3
    assert json.loads(one.dataset.profile) == {"num_rows": 9}
    assert {t.key: t.value for t in one.tags} == {"mlflow.data.context": "training", "quern.version": "3"}
    runs = mlflow.search_runs(
        experiment_names=["late_arrival"], filter_string="dataset.digest = '0123456789abcdef'", output_format="list"
    )
    assert {r.info.run_id for r in runs} == {CHILD, OTHER}


def paths(items):
    return [(i.path, i.is_dir) for i in items]


def test_artifacts_are_listed_and_downloaded(trained, tmp_path):
    client = trained.client()
    assert paths(client.list_artifacts(OTHER)) == [("model", True), ("plots", True), ("query.sql", False)]
    assert paths(client.list_artifacts(OTHER, "plots")) == [("plots/auc.svg", False)]
    assert paths(client.list_artifacts(OTHER, "model")) == [
        ("model/MLmodel", False),
        ("model/code", True),
        ("model/python_env.yaml", False),
        ("model/requirements.txt", False),
    ]
    (tmp_path / "down").mkdir()
    file = client.download_artifacts(OTHER, "query.sql", str(tmp_path / "down"))
    assert Path(file).read_text() == "SELECT 1"
    whole = mlflow.artifacts.download_artifacts(run_id=OTHER, artifact_path="model", dst_path=str(tmp_path / "model"))
    assert (Path(whole) / "MLmodel").exists()
    assert mlflow.artifacts.load_text(f"runs:/{OTHER}/query.sql") == "SELECT 1"


def test_logged_models_are_listed_right(trained):
    client = trained.client()
    run = client.get_run(OTHER)
    [output] = run.outputs.model_outputs
    assert output.model_id == model_id(OTHER, "late_arrival")
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.source_run_id, model.model_type) == ("late_arrival", OTHER, "xgboost")
    assert str(model.status) == "READY"
    assert model.artifact_location == run.info.artifact_uri + "/model"
    assert model.params == {"eta": "0.1", "max_depth": "2"}
    assert {m.key: m.value for m in model.metrics}["auc"] == 0.82
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "late_arrival", "version": 2}]
    found = mlflow.search_logged_models(
        experiment_ids=[run.info.experiment_id], filter_string="metrics.auc > 0.7", order_by=[{"field_name": "metrics.auc"}]
    )
    assert set(found["model_id"]) == {model_id(CHILD, "late_arrival"), model_id(OTHER, "late_arrival")}
    listed = client.list_logged_model_artifacts(output.model_id)
    assert "MLmodel" in [i.path for i in listed]


def test_registry_is_listed_right(trained):
    client = trained.client()
    [registered] = client.search_registered_models()
    assert registered.name == "late_arrival"
    assert registered.aliases == {"champion": 2, "previous": 1}
    assert registered.last_updated_timestamp >= registered.creation_timestamp
    versions = {int(v.version): v for v in client.search_model_versions("name = 'late_arrival'")}
    assert set(versions) == {1, 2}
    champion = client.get_model_version_by_alias("late_arrival", "champion")
    assert int(champion.version) == 2
    assert champion.aliases == ["champion"]
    assert champion.source == f"models:/{model_id(OTHER, 'late_arrival')}"
    assert champion.run_id == OTHER
    assert not champion.run_link
    assert champion.status == "READY"
    assert champion.current_stage == "None"
    assert champion.description == "better"
    assert champion.tags == {"quern.effect": "monthly/2013-05-01", "quern.schedule": "monthly"}
    assert champion.creation_timestamp == champion.last_updated_timestamp > 1_370_000_000_000
    artifact_uri = client.get_run(OTHER).info.artifact_uri
    assert client.get_model_version_download_uri("late_arrival", "2") == artifact_uri + "/model"
    assert [int(v.version) for v in client.search_model_versions(f"run_id = '{CHILD}'")] == [1]
    assert client.get_model_version("late_arrival", "1").aliases == ["previous"]
    assert [int(v.version) for v in client.get_latest_versions("late_arrival")] == [2]


@pytest.mark.parametrize(
    "uri", ["models:/late_arrival@champion", "models:/late_arrival/1", f"runs:/{OTHER}/late_arrival", f"runs:/{OTHER}/model"]
)
def test_models_are_loaded(trained, uri):
    model = mlflow.pyfunc.load_model(uri)
    frame = pd.DataFrame({"a": [1.0, 2.0], "c": ["x", "y"]})
    assert list(model.predict(frame)) == [3.0, 4.0]
    assert model.metadata.run_id in (CHILD, OTHER)
    assert model.metadata.signature.inputs.input_names() == ["a", "c"]


def test_recording_again_changes_nothing_for_the_client(trained):
    client = trained.client()
    before = json.dumps(client.get_run(OTHER).to_dictionary())
    trained.do(training(2, 0.82, 1_370_000_002_000))
    assert json.dumps(client.get_run(OTHER).to_dictionary()) == before
    assert paths(client.list_artifacts(OTHER)) == [("model", True), ("plots", True), ("query.sql", False)]
    model = client.get_logged_model(model_id(OTHER, "late_arrival"))
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "late_arrival", "version": 2}]


def test_what_the_client_writes_is_read_right(tracking):
    tracking.do({"do": "experiments"})
    client = tracking.client()
    mlflow.set_experiment("theirs")
    frame = pd.DataFrame({"a": [1.0, 2.0], "c": ["x", "y"]})

    class Doubling(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["a"] * 2

    with mlflow.start_run(run_name="parent") as parent:
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_params({"eta": 0.1})
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 3), step=step)
            mlflow.log_metric("nan", float("nan"))
            data = mlflow.data.from_pandas(frame, name="train", source="/tmp/x.csv")
            mlflow.log_input(data, context="training", tags={"k": "v"})
            info = mlflow.pyfunc.log_model(name="model", python_model=Doubling(), pip_requirements=["mlflow"])
    for _ in range(2):
        version = mlflow.register_model(info.model_uri, "theirs", tags={"a": "b"})
    client.set_registered_model_alias("theirs", "champion", version.version)
    client.update_model_version("theirs", version.version, description="why")

    run = tracking.do({"do": "run", "run_id": child.info.run_id})
    assert (run["name"], run["status"], run["params"]) == ("child", "FINISHED", {"eta": "0.1"})
    assert run["tags"]["mlflow.parentRunId"] == parent.info.run_id
    assert run["metrics"]["loss"]["value"] == 1 / 5
    assert run["metrics"]["loss"]["step"] == 2
    assert run["metrics"]["nan"]["value"] is None
    [dataset] = run["datasets"]
    assert (dataset["name"], dataset["digest"], dataset["context"]) == ("train", data.digest, "training")
    assert dataset["tags"] == {"k": "v"}
    assert run["model_id"] == info.model_id
    history = tracking.do({"do": "history", "run_id": child.info.run_id, "key": "loss"})
    assert [p["value"] for p in history] == [1 / 3, 1 / 4, 1 / 5]
    children = tracking.do({"do": "runs", "experiment": "theirs", "parent": parent.info.run_id})
    assert [r["name"] for r in children] == ["child"]
    best = tracking.do({"do": "best", "experiment": "theirs", "metric": "loss", "larger": False})
    assert best["run_id"] == child.info.run_id

    versions = tracking.do({"do": "versions", "model": "theirs"})
    assert [(v["version"], v["aliases"]) for v in versions] == [(2, ["champion"]), (1, [])]
    assert versions[0]["tags"] == {"a": "b"}
    assert versions[0]["description"] == "why"
    assert versions[0]["source"] == f"models:/{info.model_id}"
    assert versions[0]["storage_location"] == client.get_model_version_download_uri("theirs", "2")

    # Both take turns: ours promotes a run of theirs, theirs deletes it, ours goes on counting.
    promoted = tracking.do({"do": "promote", "model": "theirs", "run_id": child.info.run_id, "effect": "e"})
    assert promoted == {"version": 3, "made": True, "former": 2}
    assert int(client.get_model_version_by_alias("theirs", "champion").version) == 3
    assert int(client.get_model_version_by_alias("theirs", "previous").version) == 2
    assert mlflow.pyfunc.load_model("models:/theirs@champion").predict(frame).tolist() == [2.0, 4.0]
    client.delete_model_version("theirs", "3")
    assert tracking.do({"do": "version", "model": "theirs", "alias": "champion"}) is None
    again = tracking.do({"do": "promote", "model": "theirs", "run_id": child.info.run_id, "effect": "e"})
    assert again == {"version": 4, "made": True, "former": None}
    client.delete_run(parent.info.run_id)
    assert [r["name"] for r in tracking.do({"do": "runs", "experiment": "theirs"})] == ["child"]


def test_client_changes_what_ours_recorded(trained):
    client = trained.client()
    client.set_tag(OTHER, "note", "seen")
    client.log_metric(OTHER, "auc", 0.9, step=1)
    client.set_model_version_tag("late_arrival", "2", "approved", "yes")
    client.set_registered_model_alias("late_arrival", "shadow", "1")
    run = trained.do({"do": "run", "run_id": OTHER})
    assert run["tags"]["note"] == "seen"
    assert run["metrics"]["auc"]["value"] == 0.9
    version = trained.do({"do": "version", "model": "late_arrival", "version": 2})
    assert version["tags"]["approved"] == "yes"
    assert trained.do({"do": "version", "model": "late_arrival", "alias": "shadow"})["version"] == 1
    trained.do({"do": "alias", "model": "late_arrival", "alias": "shadow"})
    with pytest.raises(MlflowException):
        trained.client().get_model_version_by_alias("late_arrival", "shadow")


def test_both_write_at_once(tracking):
    """Neither is told that the database is locked, and nothing is lost."""
    tracking.do({"do": "record", "experiment": "late_arrival", "run_id": PARENT, "name": "p"})
    client = tracking.client()
    runs = 60
    commands = [
        {"do": "record", "experiment": "late_arrival", "run_id": run_id(f"c{i}"), "name": f"c{i}", "metrics": [["a", i]]}
        for i in range(runs)
    ]
    done = []
    ours = threading.Thread(target=lambda: done.append(tracking.start(*commands)))
    ours.start()
    for i in range(runs):
        client.log_metric(PARENT, "theirs", i, step=i)
    ours.join()
    assert done[0].returncode == 0, done[0].stdout
    assert len(client.search_runs(["1"], max_results=1000)) == runs + 1
    assert len(client.get_metric_history(PARENT, "theirs")) == runs


def test_database_of_an_older_package_is_refused_with_the_way_out(tracking):
    tracking.do({"do": "experiments"})
    with sqlite3.connect(tracking.path) as database:
        database.execute("UPDATE alembic_version SET version_num = '75868b020152'")
    done = tracking.start({"do": "experiments"})
    assert done.returncode == 2
    assert "Q1201" in done.stderr
    assert f"mlflow db upgrade sqlite:///{tracking.path}" in done.stderr


def test_order_of_revisions_is_that_of_the_package(tracking):
    """The list in schema.cc knows each older revision of the package."""
    from mlflow.store.db.utils import _get_alembic_config
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_get_alembic_config(""))
    head = script.get_current_head()
    text = (Path(__file__).parents[2] / "src" / "tracking" / "schema.cc").read_text()
    header = (Path(__file__).parents[2] / "src" / "tracking" / "schema.h").read_text()
    assert f'kSchemaHead = "{head}"' in header
    older = [r.revision for r in script.walk_revisions() if r.revision != head]
    assert older
    for revision in older:
        assert f'"{revision}"' in text, revision
