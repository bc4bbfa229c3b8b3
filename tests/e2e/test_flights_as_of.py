"""What is known of a flight, learned from it and predicted is as of the first of its month, whenever and however often computed."""

import csv
import gzip
import io

import pytest
import tables
from quern_project import ROOT, Project, copy_project, differences

FEATURES = "features.flight_features"


def rewrite(file, change):
    """Changes every row of a landing file."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(change(row) for row in rows)
    file.write_bytes(gzip.compress(out.getvalue().encode()))


def other_outcome(row):
    late = row["arr_delay"] != "NA" and int(row["arr_delay"]) > 15
    return {**row, "tailnum": "N14228", "dep_time": "1200", "dep_delay": "77", "arr_time": "1300", "arr_delay": "-30" if late else "123",
            "air_time": "60"}


def other_weather(row):
    return {**row, "temp": "1", "wind_speed": "55", "precip": "0.5" if row["precip"] == "0" else "0", "visib": "0.25"}


def rows_equal(left, right, table, where, columns="*"):
    """"" when both projects hold the same rows, and some."""
    assert left.query(f"select count(*) from {{{table}}} where {where}")[0][0] > 0, f"no rows where {where}"
    relations = [f"(select {columns} from {tables.scan(project.table(table))} where {where})" for project in (left, right)]
    return tables.difference(tables.connect(), *relations)


def months_equal(left, right, up_to):
    return rows_equal(left, right, FEATURES, f"flight_month <= date '{up_to}'")


@pytest.fixture(scope="module")
def other_may(binary, tmp_path_factory):
    """Half the year with every outcome and every weather row from May on another one."""
    folder = copy_project(ROOT / "examples" / "flights", tmp_path_factory.mktemp("other-may") / "flights")
    changed = Project(folder, binary)
    for kind, change in (("outcomes", other_outcome), ("weather", other_weather)):
        for file in (changed.folder / "landing" / kind).glob("*.csv.gz"):
            if file.name >= "2013-06-01":  # what happened in May lands on the first of June
                rewrite(file, change)
    changed.quern("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-06-30", timeout=600)
    assert changed.query("select count(*) from {marts.fct_flights} where tailnum = 'N14228'")[0][0] > 50000
    return changed


def test_features_do_not_see_outcomes_and_weather_of_their_own_month(flights_year, other_may):
    """The features of May (and before) stay what they were."""
    assert other_may.query(f"select max(flight_month)::varchar from {{{FEATURES}}}") == [("2013-07-01",)]
    assert months_equal(flights_year, other_may, "2013-05-01") == ""
    # The test would see a difference: June's features do know May.
    assert months_equal(flights_year, other_may, "2013-06-01") != ""


def test_training_sets_do_not_see_the_months_after_them(flights_year, other_may):
    """What was learned from, judged by and predicted until the first of May stays what it was."""
    until_may = "training_set < 'monthly/2013-05-01'"
    assert rows_equal(flights_year, other_may, "training.late_arrival", until_may) == ""
    # May's run judges by May, but nothing that it trains on knows of May.
    sets = [{name for name, in project.query("select distinct training_set from {training.late_arrival}")} for project in (flights_year, other_may)]
    for name in sets[0] & sets[1]:
        if name.startswith("monthly/2013-05-01/") and not name.endswith("/evaluation") and "/refit_" not in name:
            assert rows_equal(flights_year, other_may, "training.late_arrival", f"training_set = '{name}'") == "", name
    assert rows_equal(flights_year, other_may, "predictions.late_arrival", "flight_date < date '2013-06-01'") == ""
    # Predictions for June were made by who knew May.
    assert rows_equal(flights_year, other_may, "predictions.late_arrival", "flight_date < date '2013-07-01'") != ""


@pytest.fixture(scope="module")
def year_once_more(flights_year, tmp_path_factory):
    return flights_year.copy_to(tmp_path_factory.mktemp("once-more") / "flights")


@pytest.mark.slow
def test_full_refresh_gives_the_same_rows(flights_year, year_once_more):
    """December once more, every incremental table anew: nothing but the operators' history could be another, and it is not."""
    year_once_more.quern("run", "monthly", "--date", "2013-12-01", "--rerun", "--full-refresh", timeout=600)
    assert differences(flights_year, year_once_more) == {}
    history = tables.log_entries(year_once_more.table(FEATURES))
    assert len(history) > len(tables.log_entries(flights_year.table(FEATURES))), "nothing was computed anew"


@pytest.mark.slow
def test_late_computation_gives_the_same_rows(flights_year, project):
    """One run at the year's end, over all that has landed by then, gives every flight the same features as twelve runs."""
    late = project("flights")
    late.quern("run", "monthly", "--date", "2013-12-01", timeout=600)
    same = ["features.flight_features", "features.late_history", "features.weather_history", "marts.fct_flights", "marts.plane_months",
            "reports.monthly_summary"]
    assert differences(flights_year, late, same) == {}
