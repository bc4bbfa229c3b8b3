"""The example's year, played back by quern: what must be there afterwards."""

import csv
import gzip
from zoneinfo import ZoneInfo

import deltalake
import tables
from quern_project import ROOT

LANDING = ROOT / "examples" / "flights" / "landing"
NEW_YORK = ZoneInfo("America/New_York")
NODE_KINDS = ("ingest", "model", "seed", "snapshot", "dataset", "promote", "predict", "monitor", "retrain")


def landed(pattern):
    """Number of rows in the landing files of a pattern."""
    count = 0
    for file in LANDING.glob(pattern):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            count += sum(1 for _ in csv.reader(text)) - 1
    return count


def test_every_landed_row_is_there_once(flights_year):
    expected = {"raw.schedules": 336776, "raw.outcomes": 336776, "raw.weather": 26115, "raw.planes": 3322, "raw.airports": 1458,
                "raw.airlines": 16}
    assert landed("schedules/*") == landed("outcomes/*") == 336776
    assert {name: flights_year.count(name) for name in expected} == expected
    for name in ("raw.schedules", "raw.outcomes"):
        assert flights_year.query(f"select count(distinct (time_hour, carrier, flight)) from {{{name}}}") == [(336776,)]


def test_values_are_those_of_the_files(flights_year):
    connection = tables.connect()
    for name in ("schedules", "outcomes"):
        files = f"read_csv('{LANDING}/{name}/*.csv.gz', nullstr = 'NA', sample_size = -1, types = {{'time_hour': 'timestamptz'}})"
        columns = [column for column, *_ in connection.execute(f"describe select * from {files}").fetchall()]
        # Types may be narrower or wider than DuckDB's guess; values may not differ.
        texts = ", ".join(f"{column}::varchar" for column in columns)
        ours = tables.scan(flights_year.table(f"raw.{name}"))
        for one, other in ((files, ours), (ours, files)):
            query = f"select {texts} from {one} except all select {texts} from {other}"
            assert connection.execute(f"select * from ({query}) limit 3").fetchall() == []


def test_every_flight_is_in_the_fact_table_with_its_outcome(flights_year):
    by_status = dict(flights_year.query("select status, count(*) from {marts.fct_flights} group by status"))
    assert by_status == {"arrived": 327346, "cancelled": 8255, "diverted": 1175}
    months = flights_year.query("select strftime(flight_month, '%m'), count(*) from {marts.fct_flights} group by 1 order by 1")
    assert [count for _, count in months] == [27004, 24951, 28834, 28330, 28796, 28243, 29425, 29327, 27574, 28889, 27268, 28135]


def test_every_flight_has_features_and_only_januarys_lack_history(flights_year):
    rows = flights_year.query("""
        select count(*), count(distinct (time_hour, carrier, flight)),
               count(*) filter (where (carrier_late_share is null) <> (flight_month = date '2013-01-01'))
        from {features.flight_features}""")
    assert rows == [(336776, 336776, 0)]


def test_each_run_ingests_what_had_landed_by_its_end(flights_year):
    # January's run finds two schedules, December's none.
    for table, counts in {"schedules": [2] + [1] * 10 + [0], "outcomes": [1] * 12, "weather": [1] * 12, "planes": [1] + [0] * 11}.items():
        files = dict.fromkeys(range(1, 13), 0)
        for _, actions in tables.log_entries(flights_year.table(f"raw.{table}")):
            info = next(action["commitInfo"] for action in actions if "commitInfo" in action)
            loaded = [action["txn"]["appId"] for action in actions if "txn" in action and action["txn"]["appId"].startswith("quern-file/")]
            if loaded:
                files[int(info["quernDagRun"].removeprefix("monthly/2013-")[:2])] += len(loaded)
        assert list(files.values()) == counts, table


def test_planes_that_changed_hands_have_validity_without_gaps(flights_year):
    assert flights_year.query("select count(*), count(dbt_valid_to) from {snapshots.plane_operators}") == [(4054, 17)]
    gaps = flights_year.query("""
        select * from (
          select tailnum, dbt_valid_to, lead(dbt_valid_from) over (partition by tailnum order by dbt_valid_from) as next
          from {snapshots.plane_operators})
        where dbt_valid_to is distinct from next""")
    assert gaps == []


def test_a_second_backfill_changes_nothing(flights_year, tmp_path):
    again = flights_year.copy_to(tmp_path / "again")
    before = {name: len(tables.log_entries(folder)) for name, folder in again.tables().items()}
    again.quern("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-12-31")
    assert {name: len(tables.log_entries(folder)) for name, folder in again.tables().items()} == before


def test_deltalake_reads_every_table(flights_year):
    connection = tables.connect()
    for name, folder in flights_year.tables().items():
        batches = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(str(folder))).execute("select count(*) as n from t")
        count = connection.execute(f"select count(*) from {tables.scan(folder)}").fetchone()[0]
        assert [batch.column("n")[0].as_py() for batch in batches] == [count], name


def test_every_commit_says_which_run_and_node_made_it(flights_year):
    for name, folder in flights_year.tables().items():
        for version, actions in tables.log_entries(folder):
            info = next(action["commitInfo"] for action in actions if "commitInfo" in action)
            assert info["quernDagRun"].startswith("monthly/2013-"), (name, version)
            assert info["quernNode"].split(".")[0] in NODE_KINDS, (name, version)


def test_the_report_is_one_self_contained_page(flights_year):
    reports = list(flights_year.folder.rglob("report.html"))
    assert len(reports) >= 1
    text = reports[0].read_text("utf-8")
    assert "<html" in text and "http://" not in text.replace("http://www.w3.org", "") and "src=\"http" not in text
