"""tests/projects/meters: weekly, in Berlin across the change to summer time, Parquet and JSON lines, scripts between dbt models."""

import gzip
import json
from datetime import datetime

import pyarrow as pa
import pytest
import tables
from quern_project import ROOT, Project, copy_project


@pytest.fixture(scope="module")
def meters(binary, tmp_path_factory):
    folder = copy_project(ROOT / "tests" / "projects" / "meters", tmp_path_factory.mktemp("meters") / "meters")
    made = Project(folder, binary, warehouse="lake")
    made.quern("check")
    made.quern("backfill", "weekly", "--from", "2026-03-09", "--to", "2026-04-06", timeout=600)
    return made


def test_the_week_of_the_change_has_an_hour_less(meters):
    weeks = meters.query("select first_day::varchar, hours from {meters.weeks} order by 1")
    assert weeks == [("2026-03-09", 168), ("2026-03-16", 168), ("2026-03-23", 167), ("2026-03-30", 168), ("2026-04-06", 168)]
    hours = meters.query("select day::varchar, min(hours), max(hours) from {meters.daily_use} where hours <> 24 group by day")
    assert hours == [("2026-03-29", 23, 23)]


def test_days_that_come_again_are_replaced_whole(meters):
    files = f"read_parquet('{meters.folder}/landing/readings/*.parquet', filename = true)"
    last = f"(select * exclude (filename) from {files} qualify filename = max(filename) over (partition by day))"
    connection = tables.connect()
    assert tables.difference(connection, f"(select * replace (quality::varchar as quality) from {last})",
                             tables.scan(meters.table("raw.readings"))) == ""
    assert connection.execute(f"select count(*) from {files}").fetchone()[0] > meters.count("raw.readings")
    # The model over it follows.
    assert meters.query("""
        select count(*) from {meters.daily_use} as d
        join (select day, meter_id, sum(kwh) as kwh from {raw.readings} group by all) as r
        on d.day = r.day and d.meter_id = r.meter_id and d.kwh = r.kwh""") == [(35 * 12,)]


def test_events_are_appended_once_and_keep_their_structure(meters):
    text = b""
    for file in sorted((meters.folder / "landing/events").iterdir()):
        with pa.CompressedInputStream(pa.OSFile(str(file)), "zstd") as stream:
            text += stream.read()
    events = [json.loads(line) for line in text.decode().splitlines()]
    rows = meters.query("""select event_id, epoch_ms("at"), meter.id, meter.place.room, meter.place.floor, codes, note from {raw.events}""")
    expected = [(e["event_id"], int(datetime.fromisoformat(e["at"]).timestamp() * 1000), e["meter"]["id"], e["meter"]["place"]["room"],
                 e["meter"]["place"]["floor"], e["codes"], e.get("note")) for e in events]
    assert sorted(rows) == sorted(expected)
    codes = sorted((e["event_id"], code) for e in events for code in e["codes"])
    assert sorted(meters.query("select event_id, code from {meters.event_codes}")) == codes


def test_lists_become_child_tables(meters):
    visits = [json.loads(line) for file in (meters.folder / "landing/visits").iterdir() for line in file.read_text("utf-8").splitlines()]
    pieces = {}
    for visit in visits:
        one = pieces.setdefault(visit["by"], [0, 0])
        one[0] += 1
        one[1] += sum(part["pieces"] for part in visit["parts"])
    rows = meters.query("""select "by", visits, pieces from {meters.visits_by_person}""")
    assert {by: [count, total] for by, count, total in rows} == pieces


def test_history_knows_every_state_of_a_meter(meters):
    states = {}  # meter -> its states in order
    files = sorted((meters.folder / "landing/meters").iterdir(), key=lambda f: f.name[6:10] + f.name[3:5] + f.name[:2])
    for file in files:
        for line in gzip.decompress(file.read_bytes()).decode("iso-8859-1").splitlines()[1:]:
            number, *values = line.split(";")
            known = states.setdefault(int(number), [])
            if not known or known[-1] != values:
                known.append(values)
    counts = dict(meters.query("""select "Zähler", count(*) from {raw.meters} group by 1"""))
    assert counts == {meter: len(known) for meter, known in states.items()}
    assert max(counts.values()) > 1


def test_scripts_run_between_models_in_one_run(meters):
    # daily_use (dbt) -> forecast (script) -> forecast_error (dbt): each week's forecast knows the days up to its own week's end.
    assert meters.query("select count(*), count(distinct (meter_id, day)) from {forecasts.next_week}") == [(5 * 7 * 12, 5 * 7 * 12)]
    rows = meters.query("""
        select count(*) from {forecasts.next_week} as f
        join (select meter_id, isodow(day) as weekday, round(sum(kwh) / count(*), 3) as mean from {meters.daily_use}
              where day < date '2026-03-16' group by all) as m
        on f.meter_id = m.meter_id and isodow(f.day::date) = m.weekday
        where f.day::date between date '2026-03-16' and date '2026-03-22' and abs(f.kwh - m.mean) < 0.25 * m.mean""")
    assert rows == [(7 * 12,)]
    assert meters.query("select count(*), count(used) from {meters.forecast_error}") == [(420, 336)]


def test_check_snapshot_keeps_each_room_with_validity_of_the_interval(meters):
    rows = meters.query("select meter_id, dbt_valid_from, dbt_valid_to from {meters.rooms} order by all")
    open_rows = [row for row in rows if row[2] is None]
    assert len(open_rows) == 12 and len(rows) > 12
    moments = {str(moment) for row in rows for moment in row[1:] if moment is not None}
    # Interval ends: Mondays, midnight in Berlin, as UTC.
    assert {moment[:19] for moment in moments} <= {"2026-03-15 23:00:00", "2026-03-22 23:00:00", "2026-03-29 22:00:00",
                                                   "2026-04-05 22:00:00", "2026-04-12 22:00:00"}
