"""The example's model over the year: who was champion when and why, what was learned from what, and what was predicted."""

import json
import math
import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
import tables

NEW_YORK = ZoneInfo("America/New_York")
MODEL = "late_arrival"
LEAST_IMPROVEMENT = 0.01


def first_of(month):
    return date(2013 + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def midnight(day):
    return datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)


def month_of(moment):
    return moment.astimezone(NEW_YORK).month


@pytest.fixture(scope="module")
def decisions(flights_year):
    """The decisions about candidates, in order, by month."""
    columns = ("period_start", "decision", "candidate", "model_version", "champion_before", "candidate_value", "champion_value", "reason",
               "candidates", "dag_run")
    rows = flights_year.query(f"select {', '.join(columns)} from {{monitoring.late_arrival_decisions}} order by period_start")
    made = [dict(zip(columns, row)) for row in rows]
    return {month_of(one["period_start"]): {**one, "candidates": json.loads(one["candidates"])} for one in made}


def champions(decisions):
    """{month: version that predicts it}: who was champion when the month before had ended."""
    found, champion = {}, None
    for month in range(1, 12):
        if month in decisions and decisions[month]["decision"] == "promoted":
            champion = decisions[month]["model_version"]
        if champion is not None:
            found[month + 1] = champion
    return found


def test_february_makes_the_first_champion(flights_year, decisions):
    first = decisions[min(decisions)]
    assert min(decisions) == 2 and first["decision"] == "promoted"
    assert first["champion_before"] is None and first["model_version"] == 1
    # January is all there is to train on: frames come to the same rows, candidates differ by their parameters.
    sets = flights_year.query("""
        select distinct training_set from {training.late_arrival}
        where training_set like 'monthly/2013-02-01/%' and training_set not like '%/refit_%' order by 1""")
    assert len(sets) == 2 and ("monthly/2013-02-01/evaluation",) in sets
    assert len({one["frame"] for one in first["candidates"]}) == 1
    assert len({json.dumps(one["parameters"], sort_keys=True) for one in first["candidates"]}) == len(first["candidates"])


def test_candidates_are_promoted_and_rejected_by_what_they_do(decisions):
    later = [one for month, one in decisions.items() if month > 2]
    assert sum(one["decision"] == "promoted" for one in later) >= 2
    assert sum(one["decision"] == "rejected" for one in later) >= 1
    champion = 1
    for one in later:
        assert one["champion_before"] == champion and one["reason"]
        gain = one["candidate_value"] - one["champion_value"]
        if one["decision"] == "promoted":
            assert gain >= LEAST_IMPROVEMENT
            assert one["model_version"] == champion + 1
            champion = one["model_version"]
        else:
            assert one["decision"] == "rejected" and gain < LEAST_IMPROVEMENT and one["model_version"] is None
    for one in decisions.values():
        values = [candidate["metrics"]["auc"] for candidate in one["candidates"]]
        assert len(values) >= 4 and max(values) == one["candidate_value"]


def test_every_retraining_says_why(flights_year, decisions):
    rows = flights_year.query("select period_start, verdict, reason, expression from {monitoring.late_arrival_retraining} order by 1")
    verdicts = {month_of(start): (verdict, reason, expression) for start, verdict, reason, expression in rows}
    assert len(rows) == 12 and sorted(verdicts) == list(range(1, 13))
    for month, (verdict, reason, expression) in verdicts.items():
        assert expression == "auc < 0.65 or drift.share > 0.6 or age > 6 months"
        if month > 2:
            # Whoever reads the reason finds the figures that decided.
            assert re.search(r"(auc|drift\.share) 0\.\d+|age", reason), (month, reason)
            assert verdict == (month in decisions)
        else:
            assert "no champion" in reason


def test_the_month_of_evaluation_is_in_no_training_set(flights_year, decisions):
    rows = flights_year.query("""
        select training_set, min(flight_date), max(flight_date), count(*), count(distinct (time_hour, carrier, flight)), count(is_late)
        from {training.late_arrival} group by 1""")
    assert {int(name[13:15]) for name, *_ in rows} == set(decisions)
    for name, first, last, count, keys, labels in rows:
        assert count == keys == labels
        run, frame = name.rsplit("/", 1)
        month = int(run[13:15])
        if frame == "evaluation":
            assert (first, last) >= (first_of(month), first_of(month)) and last < first_of(month + 1)
        elif frame.startswith("refit_"):
            assert last < first_of(month + 1) and decisions[month]["decision"] == "promoted"
        else:
            assert last < first_of(month), name
            if frame == "last_3_months":
                assert first >= first_of(max(month - 3, 1))
    evaluations = {name: count for name, _, _, count, *_ in rows if name.endswith("/evaluation")}
    arrived = dict(flights_year.query("select month(flight_month), arrived from {reports.monthly_summary}"))
    assert evaluations == {f"monthly/2013-{month:02}-01/evaluation": arrived[month] for month in decisions}


def test_training_sets_have_nothing_that_is_known_later(flights_year):
    names = {name for name, *_ in flights_year.query("describe select * from {training.late_arrival}")}
    assert {"training_set", "time_hour", "carrier", "flight", "flight_date", "is_late"} < names
    late = ("departure_delay", "arrival_delay", "dep_", "arr_delay", "arr_time", "air_time", "tailnum", "status", "temp", "wind", "precip", "visib")
    assert [name for name in names if name.startswith(late)] == []


def test_every_flight_of_a_predicted_month_is_predicted_once(flights_year, decisions):
    rows = flights_year.query("""
        select month(flight_date), count(*), count(distinct (time_hour, carrier, flight)), min(period_start), max(period_start),
               max(period_end), min(model_version), max(model_version), min(dag_run), max(dag_run), min(score), max(score),
               count(*) filter (where (score >= 0.3) <> (prediction = 'true'))
        from {predictions.late_arrival} group by 1 order by 1""")
    planned = dict(flights_year.query("select month(flight_month), flights from {reports.monthly_summary}"))
    by = champions(decisions)
    assert [row[0] for row in rows] == sorted(by) == list(range(3, 13))
    for month, count, keys, start, same_start, end, version, same_version, dag_run, same_run, low, high, odd in rows:
        assert count == keys == planned[month]
        assert start == same_start == midnight(first_of(month)) and end == midnight(first_of(month + 1))
        assert version == same_version == by[month]
        # Made a month ahead, by the run of the month before.
        assert dag_run == same_run == f"monthly/2013-{month - 1:02}-01"
        assert 0 < low < high < 1 and odd == 0


def test_december_predicts_nothing_and_succeeds(flights_year):
    assert flights_year.query("select max(flight_date)::varchar from {predictions.late_arrival}") == [("2013-12-31",)]
    commits = [action["commitInfo"]["quernDagRun"] for _, actions in tables.log_entries(flights_year.table("predictions.late_arrival"))
               for action in actions if "commitInfo" in action]
    assert "monthly/2013-12-01" not in commits
    states = {run["dag_run"]: run["state"] for run in flights_year.quern("runs", "--output", "json").json()["runs"]}
    assert states["monthly/2013-12-01"] == "success"


def test_performance_is_there_for_months_that_were_predicted(flights_year, decisions):
    rows = flights_year.query("""
        select period_start, model_version, rows, labeled, auc, log_loss, brier, accuracy, tp + fp + tn + fn, dummy_auc, dummy_log_loss
        from {monitoring.late_arrival_performance} where slice = '' order by 1""")
    by = champions(decisions)
    assert [(month_of(row[0]), row[1]) for row in rows] == sorted(by.items())
    arrived = dict(flights_year.query("select month(flight_month), (flights, arrived) from {reports.monthly_summary}"))
    for start, _, count, labeled, auc, log_loss, brier, accuracy, confused, dummy_auc, dummy_log_loss in rows:
        assert (count, labeled) == tuple(arrived[month_of(start)]) and confused == labeled
        assert dummy_auc == 0.5 and auc > 0.58 and 0 < brier < 0.25
        # By log loss no month is predicted much worse than by a constant, and most are predicted better.
        assert log_loss < dummy_log_loss + 0.05
    assert sum(row[5] < row[10] for row in rows) >= 6
    # The same figures from the tables themselves.
    again = flights_year.query("""
        with judged as (
          select month(p.flight_date) as m, p.score, cast(f.is_late as integer) as y, p.prediction = 'true' as said,
                 rank() over (partition by m order by p.score) + (count(*) over (partition by m, p.score) - 1) / 2.0 as r
          from {predictions.late_arrival} as p join {marts.fct_flights} as f using (time_hour, carrier, flight)
          where f.is_late is not null)
        select m, (sum(r) filter (where y = 1) - sum(y) * (sum(y) + 1) / 2.0) / (sum(y) * sum(1 - y)),
               -avg(y * ln(score) + (1 - y) * ln(1 - score)), avg((score - y) * (score - y)), avg(cast(said = (y = 1) as integer))
        from judged group by m order by m""")
    for (start, _, _, _, *ours), (month, *theirs) in zip(rows, again, strict=True):
        assert month_of(start) == month
        for one, other in zip(ours[:4], theirs):
            assert math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def test_slices_add_up_to_the_whole(flights_year):
    rows = flights_year.query("""
        select period_start,
               sum(labeled) filter (where slice = ''),
               sum(labeled) filter (where slice like 'origin=%'),
               sum(labeled) filter (where slice like 'carrier=%'),
               count(*) filter (where slice like 'origin=%')
        from {monitoring.late_arrival_performance} group by 1""")
    assert len(rows) == 10
    for _, whole, by_origin, by_carrier, origins in rows:
        assert whole == by_origin == by_carrier and origins == 3


def test_drift_is_told_for_every_feature_and_month(flights_year, decisions):
    rows = flights_year.query("""
        select period_start, model_version, count(distinct feature) filter (where feature <> 'prediction'),
               count(*) filter (where is_default and feature <> 'prediction'),
               count(*) filter (where is_default and drifted and feature <> 'prediction')
        from {monitoring.late_arrival_drift} group by 1, 2 order by 1""")
    assert [(month_of(row[0]), row[1]) for row in rows] == sorted(champions(decisions).items())
    assert {row[2:4] for row in rows} == {(19, 19)}
    shares = {month_of(row[0]): row[4] / 19 for row in rows}
    # Against January and February the months get more and more unlike; a new champion brings the share down.
    assert shares[3] < shares[4]
    judged = flights_year.query("select period_start, values from {monitoring.late_arrival_retraining} where model_version is not null")
    for start, values in judged:
        known = json.loads(values)
        assert math.isclose(known["drift.share"], shares[month_of(start)], abs_tol=1e-9)


@pytest.fixture(scope="module")
def client(flights_year):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is in the environment of tools/python/ml.txt only")
    uri = f"sqlite:///{flights_year.folder}/.quern/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri, uri)


def test_mlflow_lists_trainings_candidates_and_versions(client, decisions):
    experiment = client.get_experiment_by_name(MODEL)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = {run.info.run_name: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert sorted(parents) == sorted(one["dag_run"] for one in decisions.values())
    for one in decisions.values():
        children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[one["dag_run"]].info.run_id]
        assert {run.info.status for run in children} == {"FINISHED"}
        refitted = one["decision"] == "promoted"
        assert len(children) == len(one["candidates"]) + refitted
        for run in children:
            assert run.inputs.dataset_inputs and run.data.params["max_depth"]
    versions = {int(v.version): v for v in client.search_model_versions(f"name = '{MODEL}'")}
    promoted = [one["model_version"] for one in decisions.values() if one["decision"] == "promoted"]
    assert sorted(versions) == promoted
    assert int(client.get_model_version_by_alias(MODEL, "champion").version) == promoted[-1]
    assert int(client.get_model_version_by_alias(MODEL, "previous").version) == promoted[-2]


def test_mlflow_predicts_what_the_table_has(client, flights_year, decisions):
    import mlflow

    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    names = [column.name for column in model.metadata.get_input_schema()]
    assert len(names) == 19
    by = champions(decisions)
    month = max(month for month, version in by.items() if version == max(by.values()))
    # The champion after December's run has predicted nothing if it was made by it.
    if decisions[max(decisions)]["decision"] == "promoted" and max(decisions) == 12:
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}@previous")
    connection = tables.connect()
    frame = connection.execute(f"""
        select p.score, p.prediction, {', '.join('f.carrier as airline' if name == 'airline' else 'f.' + name for name in names)}
        from {tables.scan(flights_year.table('predictions.late_arrival'))} as p
        join {tables.scan(flights_year.table('features.flight_features'))} as f using (time_hour, carrier, flight)
        where month(p.flight_date) = {month}""").df()
    assert len(frame) > 20000
    given = model.predict(frame[names])
    assert (given["score"] - frame["score"]).abs().max() < 1e-6
    assert (given["prediction"] == frame["prediction"]).mean() > 0.9999
