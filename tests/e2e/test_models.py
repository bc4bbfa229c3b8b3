"""Models as nodes of the graph, on a small daily project: exactly once, reproducible, reversible, and clear about bad input."""

import json
import sqlite3

import pytest
import visits_project
from quern_project import Project, differences, tracked

YEAR = visits_project.backfill()


@pytest.fixture(scope="module")
def played(binary, tmp_path_factory):
    """The project after seven days. For reading only: copy_to() for more."""
    folder = tmp_path_factory.mktemp("visits") / "visits"
    for path, text in visits_project.files().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    project = Project(folder, binary)
    project.quern(*YEAR)
    return project


def decisions(project):
    return project.query(
        "select cast(period_start as date)::text, decision, model_version, champion_before, run_id, candidates "
        "from {monitoring.missed_decisions} order by period_start")


def test_a_model_is_trained_promoted_and_judged_day_by_day(played):
    rows = decisions(played)
    assert rows[0][1:4] == ("promoted", 1, None)
    assert all(row[1] in ("promoted", "rejected", "blocked") for row in rows)
    # The first day has nothing before it to train on; the second has one frame, so two parameter sets are two candidates.
    assert len(json.loads(rows[0][5])) == 2
    predicted = played.query("select period_start, count(*), count(distinct visit), count(distinct model_version) "
                             "from {predictions.missed} group by 1 order by 1")
    assert [row[1:] for row in predicted] == [(150, 150, 1)] * 6
    judged = played.query("select period_start, labeled from {monitoring.missed_performance} where slice = '' order by 1")
    # The last day's predictions are about a day that has not ended.
    assert [row[0] for row in judged] == [row[0] for row in predicted[:-1]]
    assert all(row[1] == 150 for row in judged)
    assert played.query("select count(distinct slice) from {monitoring.missed_performance}") == [(4,)]
    verdicts = played.query("select verdict, reason from {monitoring.missed_retraining} order by period_start")
    assert len(verdicts) == 7 and verdicts[0] == (True, "there is no champion yet")


def test_figures_keep_every_digit(played):
    connection = sqlite3.connect(played.folder / ".quern" / "mlflow.db")
    for run_id, auc in played.query("select run_id, candidate_value from {monitoring.missed_decisions}"):
        assert connection.execute("select value from latest_metrics where run_uuid = ? and key = 'auc'", (run_id,)).fetchone() == (auc,)


def test_no_evaluation_day_is_in_a_training_set(played):
    connection = sqlite3.connect(played.folder / ".quern" / "mlflow.db")
    artifacts = [row[0] for row in connection.execute("select artifact_uri from runs")]
    seen = 0
    for uri in artifacts:
        file = played.folder.__class__(uri.removeprefix("file://")) / "training.json"
        if not file.exists():
            continue
        record = json.loads(file.read_text())
        evaluated, trained = record["evaluation_set"], record["training_set"]
        days = [{row[0] for row in played.query(
            f"select distinct day from {{training.missed}} where training_set = '{one['training_set']}'")} for one in (trained, evaluated)]
        assert days[0] and days[1] and max(days[0]) < min(days[1])
        seen += 1
    assert seen >= 4


def test_running_again_changes_nothing(played, tmp_path):
    again = played.copy_to(tmp_path / "again")
    before = tracked(again)
    versions = {name: len(list((again.table(name) / "_delta_log").glob("*.json"))) for name in again.tables()}
    again.quern(*YEAR)
    assert tracked(again) == before
    assert versions == {name: len(list((again.table(name) / "_delta_log").glob("*.json"))) for name in again.tables()}


def test_a_rerun_finds_its_models_again(played, tmp_path):
    again = played.copy_to(tmp_path / "again")
    before = tracked(again)
    again.quern("backfill", "daily", "--from", "2026-03-03", "--to", "2026-03-07", "--rerun")
    after = tracked(again)
    assert after["versions"] == before["versions"]
    assert after["aliases"] == before["aliases"]
    assert after["runs"] == before["runs"]
    assert differences(played, again, [name for name in played.tables() if not name.startswith("raw.")]) == {}


def test_killed_anywhere_the_end_is_the_same(played, binary, tmp_path):
    import random
    import time
    rng = random.Random(11)
    seconds = 4.0
    folder = tmp_path / "killed"
    for path, text in visits_project.files().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    project = Project(folder, binary)
    for _ in range(8):
        process = project.start(*YEAR)
        time.sleep(rng.uniform(0.05, seconds))
        if process.poll() is not None:
            break
        Project.kill(process)
    project.quern(*YEAR)
    assert differences(played, project) == {}
    assert tracked(project) == tracked(played)


def test_reproduce_says_equal_and_names_what_is_not(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    trainings = [row[0] for row in sqlite3.connect(project.folder / ".quern" / "mlflow.db").execute(
        "select run_uuid from tags where key = 'quern.kind' and value = 'training'")]
    # Artifacts are found where the project lies now only when it was not moved: the copy keeps the first one's paths.
    for run in trainings:
        answer = played.quern("model", "reproduce", run, "--output", "json").json()
        assert answer["equal"], answer
        assert len(answer["runs"]) >= 2

    def different(*arguments):
        answer = project.quern("model", "reproduce", "v1", "--model", "missed", "--output", "json", *arguments, expect=None)
        return answer.json()["runs"][0]["different"]

    assert different() == []
    model = project.folder / "ml" / "missed.yml"
    text = model.read_text()
    model.write_text(text.replace("rounds: 20", "rounds: 21"))
    assert different() == ["parameters"]
    model.write_text(text.replace("b.waited, b.age,", "b.waited, b.age + 0 AS age,"))
    assert different() == ["query"]
    model.write_text(text)
    project.quern("sql", "update raw.bookings set age = age + 1 where visit = 3")
    assert different() == ["data"]


def test_models_by_hand(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    listed = project.quern("model", "list", "--output", "json").json()["models"]
    champion = listed[0]["champion"]
    assert listed[0]["name"] == "missed" and listed[0]["versions"] == champion
    assert champion >= 2
    project.quern("model", "rollback", "missed", "--reason", "too many alarms")
    assert project.quern("model", "list", "--output", "json").json()["models"][0]["champion"] == champion - 1
    project.quern("model", "promote", "missed", "v1")
    # As a process leaves it that is killed after the alias was set: the same command puts the row there, once.
    decisions = "select count(*) from {monitoring.missed_decisions} where decision = 'manual' and model_version = 1"
    project.quern("sql", "delete from monitoring.missed_decisions where decision = 'manual'")
    for _ in range(2):
        project.quern("model", "promote", "missed", "v1")
        assert project.query(decisions)[0][0] == 1
    best = project.quern("model", "best", "missed", "--output", "json").json()["run"]
    project.quern("model", "promote", "missed", best["run_id"][:10])
    by_hand = project.query("select decision, reason, decided_by from {monitoring.missed_decisions} "
                            "where decision in ('manual', 'rollback') order by _quern_computed_at")
    assert [row[0] for row in by_hand[:2]] == ["rollback", "manual"] and by_hand[0][1] == "too many alarms"
    assert len(project.quern("model", "compare", "missed", "champion", "v1", "--output", "json").json()["runs"]) == 2
    assert project.quern("model", "verify", "--output", "json").json()["good"]
    unknown = project.quern("model", "show", "mised", expect=None)
    assert unknown.code != 0 and "did you mean 'missed'" in unknown.text
    assert "there is no run or version" in project.quern("model", "promote", "missed", "v99", expect=None).text


def test_plan_says_which_model_would_be_judged_and_retrained(played, project):
    nodes = {node["node"]: node for node in
             played.quern("plan", "daily", "--date", "2026-03-08", "--output", "json").json()["nodes"]}
    champion = played.quern("model", "list", "--output", "json").json()["models"][0]["champion"]
    assert nodes["monitor.missed"]["outlook"] == f"would judge version {champion} by its 150 predictions"
    assert nodes["retrain.missed"]["outlook"].startswith(f"version {champion} ")
    assert "age" in nodes["retrain.missed"]["outlook"]
    fresh = project(files=visits_project.files())
    text = fresh.quern("plan", "daily", "--date", "2026-03-01").text
    assert "retrain.missed: would train" in text and "no champion yet" in text
    assert not (fresh.folder / ".quern" / "mlflow.db").exists()


def test_verify_misses_a_training_set_that_is_gone(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    for file in project.table("training.missed").glob("*.parquet"):
        file.unlink()
    answer = project.quern("model", "verify", expect=1)
    assert "NOT THERE" in answer.text


def test_a_decision_by_hand_does_not_outlive_a_replay(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    before = tracked(project)["aliases"]
    project.quern("model", "promote", "missed", "v1")
    project.quern("backfill", "daily", "--from", "2026-03-08", "--to", "2026-03-08")
    by_hand = tracked(project)["aliases"]
    assert ("missed", "champion", 1) in by_hand or by_hand != before
    refused = project.quern("backfill", "daily", "--from", "2026-03-03", "--to", "2026-03-08", "--rerun", expect=None)
    assert refused.code != 0 and "quern model promote" in refused.text, refused


def test_a_requirement_of_a_slice_blocks(project):
    made, answer = broken(project, model=('require: ["auc > dummy.auc"]', """require: ['slice."channel=web".auc > 0.99']"""), expect=0)
    rows = made.query("select decision, reason from {monitoring.missed_decisions}")
    assert {row[0] for row in rows} == {"blocked"} and all("channel=web" in row[1] and "unknown" not in row[1] for row in rows)
    assert "predictions.missed" not in made.tables()


# ---- bad input: each a clear error with its place, nothing half-written

def broken(project, change=None, model=None, last=7, expect=1):
    files = visits_project.files()
    if model:
        files["ml/missed.yml"] = visits_project.MODEL.replace(*model)
        assert files["ml/missed.yml"] != visits_project.MODEL
    if change:
        change(files)
    made = project(files=files)
    return made, made.quern(*visits_project.backfill(last), expect=expect)


def test_a_label_of_one_class(project):
    def change(files):
        for path in files:
            if "outcomes" in path:
                files[path] = files[path].replace("true", "false")
    made, answer = broken(project, change, last=2)
    assert "Q1303" in answer.text and "'false'" in answer.text and "ml/missed.yml" in answer.text
    assert "training.missed" not in made.tables()


def test_a_feature_without_any_value_is_told_and_kept_out(project):
    def change(files):
        for path in files:
            if "bookings" in path:
                lines = [line.split(",") for line in files[path].splitlines()]
                files[path] = "\n".join(",".join(fields if i == 0 else fields[:2] + [""] + fields[3:]) for i, fields in enumerate(lines)) + "\n"
    made, answer = broken(project, change, expect=0)
    assert made.count("predictions.missed") > 0
    tasks = made.quern("runs", "daily/2026-03-02", "--output", "json").out
    assert "'waited' has no value" in tasks


def test_an_infinite_value(project):
    made, answer = broken(project, model=("b.waited,", "CASE WHEN b.visit = 7 THEN 'inf'::DOUBLE ELSE b.waited END AS waited,"), last=2)
    assert "Q1303" in answer.text and "'waited' is infinite" in answer.text and "visit=7" in answer.text
    assert "predictions.missed" not in made.tables()


def test_a_category_never_seen_is_scored_as_missing(project):
    def change(files):
        files["landing/bookings/2026-03-06.csv"] = files["landing/bookings/2026-03-06.csv"].replace("web", "pigeon")
    made, answer = broken(project, change, expect=0)
    assert made.query("select count(*) from {predictions.missed} where day = date '2026-03-06'") == [(150,)]
    log = made.quern("logs", "daily/2026-03-05", "predict.missed").text
    assert "channel" in log and "never seen" in log


def test_no_rows_in_the_frame_waits(project):
    made, answer = broken(project, model=("frames: [{last: 3 days}, all]", "frames: [{from: 2026-03-05, to: 2026-03-07}]"), expect=0)
    assert made.query("select min(period_start)::date::text from {monitoring.missed_decisions}") != []


def test_a_model_file_cut_short(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    connection = sqlite3.connect(project.folder / ".quern" / "mlflow.db")
    # The copy's database points at the first project's folder; give it its own.
    for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location"), ("logged_models", "artifact_location"),
                          ("model_versions", "storage_location")):
        connection.execute(f"update {table} set {column} = replace({column}, ?, ?)", (str(played.folder), str(project.folder)))
    connection.commit()
    connection.close()
    for file in (project.folder / ".quern" / "artifacts").glob("*/*/artifacts/model/model.ubj"):
        file.write_bytes(file.read_bytes()[:100])
    answer = project.quern("backfill", "daily", "--from", "2026-03-08", "--to", "2026-03-08", expect=1)
    assert "Q1305" in answer.text and "model.ubj" in answer.text


def test_a_tracking_database_of_an_unknown_version(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    connection = sqlite3.connect(project.folder / ".quern" / "mlflow.db")
    connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    connection.commit()
    connection.close()
    answer = project.quern("backfill", "daily", "--from", "2026-03-08", "--to", "2026-03-08", expect=1)
    assert "Q1201" in answer.text and "ffffffffffff" in answer.text


@pytest.mark.parametrize("rule, where", [
    ("auc < baseline.acu - 0.01", "baseline.auc"),
    ("auc < 3 days", "duration"),
    ("auc <", ""),
])
def test_a_retraining_rule_with_an_error(project, rule, where):
    files = visits_project.files()
    files["ml/missed.yml"] = visits_project.MODEL.replace("auc < baseline.auc - 0.01 or age > 3 days", rule)
    answer = project(files=files).quern("check", expect=1)
    assert "Q1302" in answer.text and "ml/missed.yml:25:" in answer.text and where in answer.text


def test_a_retraining_rule_with_an_unknown_feature(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    file = project.folder / "ml" / "missed.yml"
    file.write_text(file.read_text().replace("auc < baseline.auc - 0.01 or age > 3 days", "drift.shar > 0.2"))
    answer = project.quern("check", expect=1)
    assert "Q1302" in answer.text and "drift.share" in answer.text


# ---- names, rules, orders of events that are not the usual ones

def test_a_feature_may_be_called_as_what_a_model_gives(project):
    made, _ = broken(project, model=("b.waited, b.age,", 'b.waited AS score, b.age AS "Model Name",'), expect=0)
    compared = made.query("select reference_rows > 0, current_rows from {monitoring.missed_drift} "
                          "where feature = 'prediction' and is_default")
    # Every row has a prediction, while a third of the feature `score` is missing.
    assert compared and all(row == (True, 150) for row in compared)
    rows = made.query("select distinct current_rows from {monitoring.missed_drift} where feature = 'score' and is_default")
    assert rows and all(row[0] < 150 for row in rows)


def test_a_feature_cannot_be_called_prediction(project):
    made, answer = broken(project, model=("b.age,", "b.age AS prediction,"), last=2)
    assert "Q1301" in answer.text and "cannot be called 'prediction'" in answer.text


def test_slices_are_spelled_in_any_case(project):
    made, _ = broken(project, model=("monitor: {slices: [channel]}", "monitor: {slices: [Channel, VISIT]}"), last=4, expect=0)
    assert made.query("select count(*) > 0 from {monitoring.missed_performance} where slice = 'Channel=web'") == [(True,)]


def test_rules_know_rows_labels_and_the_share_of_the_positive(project):
    files = visits_project.files()
    files["ml/missed.yml"] = (visits_project.MODEL.replace('["auc > dummy.auc"]', '["rows > 149", "auc > dummy.auc"]')
                              .replace("auc < baseline.auc - 0.01 or age > 3 days", "rows == 150 and labeled == 150 and positive_share > 0"))
    made = project(files=files)
    made.quern(*visits_project.backfill(3))
    assert made.query("select count(*) from {monitoring.missed_decisions} where decision = 'blocked'") == [(0,)]
    last = made.query("select verdict, reason from {monitoring.missed_retraining} order by period_start desc limit 1")[0]
    assert last[0], last


def test_a_rerun_decides_by_the_rules_of_now(played, tmp_path):
    again = played.copy_to(tmp_path / "again")
    file = again.folder / "ml" / "missed.yml"
    text = file.read_text()
    file.write_text(text.replace("least_improvement: 0.001", "least_improvement: 0.9"))
    rerun = ("backfill", "daily", "--from", "2026-03-03", "--to", "2026-03-07", "--rerun")
    again.quern(*rerun)
    assert {row[1] for row in decisions(again)[1:]} == {"rejected"}
    assert tracked(again)["aliases"] == [("missed", "champion", 1)]
    # What is judged is what the rerun predicted, not what stood there before.
    assert again.query("select distinct model_version from {monitoring.missed_performance}") == [(1,)]
    assert again.query("select distinct model_version from {predictions.missed}") == [(1,)]
    file.write_text(text)
    again.quern(*rerun)
    assert tracked(again)["aliases"] == tracked(played)["aliases"]
    assert [row[1:] for row in decisions(again)] == [row[1:] for row in decisions(played)]


def two_more_days(project):
    for path, text in visits_project.files(days=10).items():
        file = project.folder / path
        if not file.exists():
            file.write_text(text)


def test_a_decision_by_hand_is_no_later_than_what_came_after_it(played, tmp_path):
    """What was promoted by hand, at the time of the clock, stands in the way of no rerun of intervals long past."""
    project = played.copy_to(tmp_path / "project")
    two_more_days(project)
    project.quern("model", "promote", "missed", "v1")
    project.quern("backfill", "daily", "--from", "2026-03-08", "--to", "2026-03-09")
    after = tracked(project)["aliases"]
    assert ("missed", "champion", 1) not in after
    project.quern("backfill", "daily", "--from", "2026-03-09", "--to", "2026-03-09", "--rerun")
    champion = [row for row in tracked(project)["aliases"] if row[1] == "champion"]
    assert champion == [row for row in after if row[1] == "champion"]


def test_an_interval_behind_a_later_one_is_not_passed_over(project):
    made = project(files=visits_project.files())
    for day in (2, 3, 5):
        made.quern("run", "daily", "--date", f"2026-03-{day:02}")
    answer = made.quern("run", "daily", "--date", "2026-03-04", expect=1)
    assert "intervals are run in order" in answer.text


def test_saved_models_follow_the_champion_back(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    file = project.folder / "ml" / "missed.yml"
    file.write_text(file.read_text().replace("least_improvement: 0.001", "least_improvement: 0.9\n      save_to: served"))
    project.quern("backfill", "daily", "--from", "2026-03-03", "--to", "2026-03-04", "--rerun")
    first = [row[2] for row in tracked(project)["versions"] if row[1] == 1][0]
    assert first in (project.folder / "served" / "MLmodel").read_text()


def test_a_run_of_another_model_is_not_promoted(project):
    files = visits_project.files()
    files["ml/other.yml"] = visits_project.MODEL.replace("name: missed", "name: other")
    made = project(files=files)
    made.quern(*visits_project.backfill(3))
    run = made.quern("model", "best", "other", "--output", "json").json()["run"]["run_id"]
    answer = made.quern("model", "promote", "missed", run, expect=None)
    assert answer.code != 0 and "'other'" in answer.text
    # Two models over one dataset do not get into each other's way.
    for name in ("missed", "other"):
        assert made.query(f"select count(*), count(distinct (visit, day)) from {{predictions.{name}}}") == [(300, 300)]


def test_a_model_of_several_classes_is_listed_by_its_own_metric(project):
    files = visits_project.files()
    model = visits_project.MODEL.replace("o.missed\n", "CASE WHEN o.missed THEN CASE WHEN b.age > 50 THEN 'it''s \"no\"' "
                                         "ELSE 'No' END WHEN NOT o.missed THEN 'yes' END AS \"Out Come\"\n")
    model = model.replace("label: missed", "label: Out Come").replace("      metric: auc\n", "").replace("auc > dummy.auc", "log_loss < 2")
    files["ml/missed.yml"] = model.replace("auc < baseline.auc - 0.01 or ", "")
    made = project(files=files)
    made.quern(*visits_project.backfill(3))
    listed = made.quern("model", "list", "--output", "json").json()["models"][0]
    assert listed["metric"] == "log_loss"
    assert made.query("select distinct prediction from {predictions.missed} where prediction not in ('No', 'yes', 'it''s \"no\"')") == []


def test_a_champion_whose_feature_is_gone_is_told_and_can_be_replaced(played, tmp_path):
    project = played.copy_to(tmp_path / "project")
    two_more_days(project)
    file = project.folder / "ml" / "missed.yml"
    text = file.read_text().replace("b.waited, b.age,", "b.waited,")
    file.write_text(text.replace("auc < baseline.auc - 0.01 or age > 3 days", "auc < 0.1"))
    last = ("backfill", "daily", "--from", "2026-03-08", "--to", "2026-03-08")
    answer = project.quern(*last, expect=1)
    assert "the model needs the column 'age'" in answer.text and "quern model promote missed" in answer.text
    file.write_text(text.replace("auc < baseline.auc - 0.01 or age > 3 days", "auc > 0.1"))
    project.quern(*last, "--rerun")
    promoted = project.query("select decision, reason from {monitoring.missed_decisions} order by period_start desc limit 1")[0]
    assert promoted[0] == "promoted" and "cannot be judged on this dataset" in promoted[1]


def test_a_time_column_is_not_called_as_a_column_of_predictions(project):
    files = visits_project.files(days=2)
    files["ml/missed.yml"] = visits_project.MODEL.replace("b.day,", "b.day AS period_start,").replace("time: day", "time: period_start")
    answer = project(files=files).quern("check", expect=1)
    assert "the time column 'period_start' has the name of a column of predictions" in answer.text
