"""Make landing/: invented electricity meters of a building in Berlin, around the change to summer time. Needs pyarrow.

The files are committed; this is how they were made. The same run gives the same bytes.
"""

import gzip
import json
import random
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

BERLIN = ZoneInfo("Europe/Berlin")
LANDING = Path(__file__).resolve().parent / "landing"
FIRST_MONDAY = date(2026, 3, 9)
WEEKS = 5
METERS = 12

READINGS = pa.schema([("meter_id", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("day", pa.date32()),
                      ("kwh", pa.decimal128(9, 3)), ("quality", pa.dictionary(pa.int8(), pa.string()))])


def local_day(day, rng, factor=1.0):
    """A day's hourly readings of all meters; the day of the clock change has 23 hours."""
    start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(timezone.utc)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=BERLIN).astimezone(timezone.utc)
    rows = []
    for meter in range(1, METERS + 1):
        at = start
        while at < end:
            busy = 3.0 if 7 <= at.astimezone(BERLIN).hour < 19 and day.weekday() < 5 else 1.0
            kwh = Decimal(round(factor * busy * (0.2 + meter / 20) * rng.uniform(0.8, 1.2) * 1000)) / 1000
            rows.append({"meter_id": meter, "at": at, "day": day, "kwh": kwh,
                         "quality": "estimated" if rng.random() < 0.02 else "measured"})
            at += timedelta(hours=1)
    return rows


def event(number, monday, rng):
    at = datetime(monday.year, monday.month, monday.day, tzinfo=BERLIN) + timedelta(minutes=rng.randint(0, 7 * 24 * 60 - 1))
    record = {"event_id": f"e{number:05d}", "at": at.isoformat(),
              "meter": {"id": rng.randint(1, METERS), "place": {"room": rng.choice("ABCD"), "floor": rng.randint(0, 3)}},
              "codes": [rng.randint(1, 9) for _ in range(rng.randint(0, 3))]}
    if rng.random() < 0.5:
        record["note"] = rng.choice(["Zähler geprüft", "reset", "seal \"broken\"", "Tür offen\nAlarm"])
    return record


def visit(number, monday, rng):
    return {"visit_id": number, "on": str(monday + timedelta(days=rng.randint(0, 4))), "by": rng.choice(["Krüger", "Öztürk", "Lange"]),
            "parts": [{"part": rng.choice(["seal", "fuse", "relay"]), "pieces": rng.randint(1, 4)} for _ in range(rng.randint(0, 3))]}


def write_text(name, text):
    path = LANDING / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                packed.write(text)
        elif name.endswith(".zst"):
            with pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd") as packed:
                packed.write(text)
        else:
            file.write(text)


def main():
    rng = random.Random(42)
    meters = {number: ["ABCD"[number % 4], number % 4, "S1" if number % 3 else "S2"] for number in range(1, METERS + 1)}
    number = visits = 0
    for week in range(WEEKS):
        monday = FIRST_MONDAY + timedelta(weeks=week)
        landed = monday + timedelta(weeks=1)  # lands when its week is over
        # The last day of the week before comes again, corrected; days are replaced whole.
        rows = local_day(monday - timedelta(days=1), rng, 1.1) if week else []
        for day in range(7):
            rows += local_day(monday + timedelta(days=day), rng)
        (LANDING / "readings").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, READINGS), LANDING / "readings" / f"{landed}.parquet", compression="zstd")

        lines = []
        for _ in range(rng.randint(30, 50)):
            number += 1
            lines.append(json.dumps(event(number, monday, rng), ensure_ascii=False))
        write_text(f"events/events-{landed:%Y%m%d}.jsonl.zst", ("\n".join(lines) + "\n").encode())

        lines = []
        for _ in range(rng.randint(3, 6)):
            visits += 1
            lines.append(json.dumps(visit(visits, monday, rng), ensure_ascii=False))
        write_text(f"visits/week{landed:%Y-%m-%d}.jsonl", ("\n".join(lines) + "\n").encode())

        # A full list of meters every week; some have been moved or replaced, one is taken away in the fourth.
        for meter in rng.sample(sorted(meters), 2 if week else 0):
            meters[meter] = [rng.choice("ABCD"), rng.randint(0, 3), rng.choice(["S1", "S2", "S3"])]
        listed = [m for m in sorted(meters) if not (week >= 3 and m == 12)]
        text = "Zähler;Raum;Etage;Bauart;eingebaut\n" + "".join(
            f"{m};{meters[m][0]};{meters[m][1]};{meters[m][2]};{(m % 28) + 1:02d}.06.2019\n" for m in listed)
        write_text(f"meters/{landed:%d.%m.%Y}.csv.gz", text.encode("iso-8859-1"))


if __name__ == "__main__":
    main()
