"""A flight's features are as of the first of its month, whenever and however often they are computed."""

import csv
import gzip
import io

import pytest
import tables
from quern_project import differences

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


def months_equal(left, right, up_to):
    connection = tables.connect()
    relations = []
    for project in (left, right):
        relations.append(f"(select * from {tables.scan(project.table(FEATURES))} where flight_month <= date '{up_to}')")
    return tables.difference(connection, *relations)


def test_features_do_not_see_outcomes_and_weather_of_their_own_month(flights_year, project):
    """Every outcome and weather row from May on is another; the features of May (and before) stay what they were."""
    changed = project("flights")
    for kind, change in (("outcomes", other_outcome), ("weather", other_weather)):
        for file in (changed.folder / "landing" / kind).glob("*.csv.gz"):
            if file.name >= "2013-06-01":  # what happened in May lands on the first of June
                rewrite(file, change)
    changed.quern("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-06-30", timeout=600)
    assert changed.query("select count(*) from {marts.fct_flights} where tailnum = 'N14228'")[0][0] > 50000
    assert changed.query(f"select max(flight_month)::varchar from {{{FEATURES}}}") == [("2013-07-01",)]
    assert months_equal(flights_year, changed, "2013-05-01") == ""
    # The test would see a difference: June's features do know May.
    assert months_equal(flights_year, changed, "2013-06-01") != ""


@pytest.fixture(scope="module")
def year_once_more(flights_year, tmp_path_factory):
    return flights_year.copy_to(tmp_path_factory.mktemp("once-more") / "flights")


def test_full_refresh_gives_the_same_rows(flights_year, year_once_more):
    """December once more, every incremental table anew: nothing but the operators' history could be another, and it is not."""
    year_once_more.quern("run", "monthly", "--date", "2013-12-01", "--rerun", "--full-refresh", timeout=600)
    assert differences(flights_year, year_once_more) == {}
    history = tables.log_entries(year_once_more.table(FEATURES))
    assert len(history) > len(tables.log_entries(flights_year.table(FEATURES))), "nothing was computed anew"


def test_late_computation_gives_the_same_rows(flights_year, project):
    """One run at the year's end, over all that has landed by then, gives every flight the same features as twelve runs."""
    late = project("flights")
    late.quern("run", "monthly", "--date", "2013-12-01", timeout=600)
    same = ["features.flight_features", "features.late_history", "features.weather_history", "marts.fct_flights", "marts.plane_months",
            "reports.monthly_summary"]
    assert differences(flights_year, late, same) == {}
