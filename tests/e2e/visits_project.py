"""A small daily project with one model: will a booked visit be missed? Bookings land on their day, outcomes on the next."""

import random

QUERN_YML = """
name: visits
targets:
  dev: {warehouse: warehouse, threads: 2, memory_limit: 500MB}
schedules:
  daily: {cron: "0 0 * * *", timezone: Europe/Berlin, start: 2026-03-01, end: 2026-03-31}
"""

INGEST = """
tables:
  - name: bookings
    path: landing/bookings/{%Y-%m-%d}.csv
    timezone: Europe/Berlin
    mode: append
    columns:
      - {name: day, type: date}
      - {name: visit, type: integer}
      - {name: waited, type: double}
      - {name: age, type: integer}
  - name: outcomes
    path: landing/outcomes/{%Y-%m-%d}.csv
    timezone: Europe/Berlin
    mode: append
    columns:
      - {name: visit, type: integer}
      - {name: missed, type: boolean}
"""

MODEL = """
models:
  - name: missed
    description: Will a booked visit be missed?
    dataset:
      query: |
        SELECT b.visit, b.day, b.waited, b.age, b.channel, b.reminded, o.missed
        FROM raw.bookings AS b
        LEFT JOIN raw.outcomes AS o ON b.visit = o.visit
      key: [visit]
      time: day
      label: missed
    train:
      frames: [{last: 3 days}, all]
      parameters: {grid: {max_depth: [2, 4]}}
      fixed: {eta: 0.3}
      rounds: 20
      early_stopping: 5
    promote:
      metric: auc
      least_improvement: 0.001
      require: ["auc > dummy.auc"]
      slices: [channel]
    monitor: {slices: [channel]}
    retrain_when: auc < baseline.auc - 0.01 or age > 3 days
"""

CHANNELS = ("phone", "web", "desk")


def files(days=8, visits=150, seed=5):
    """Texts of the project's files, by path: bookings of `days` days from 1 March 2026 on."""
    rng = random.Random(seed)
    out = {"quern.yml": QUERN_YML, "ingest/visits.yml": INGEST, "ml/missed.yml": MODEL}
    number = 0
    for day in range(1, days + 1):
        bookings, outcomes = ["day,visit,waited,age,channel,reminded"], ["visit,missed"]
        for _ in range(visits):
            number += 1
            waited = rng.choice(["", f"{rng.expovariate(0.1):.2f}"])
            age, channel, reminded = rng.randint(18, 90), rng.choice(CHANNELS), rng.random() < 0.5
            chance = 0.1 + (0.3 if channel == "web" else 0) + (0.25 if not reminded else 0) + (0.2 if age < 30 + day else 0)
            bookings.append(f"2026-03-{day:02},{number},{waited},{age},{channel},{str(reminded).lower()}")
            outcomes.append(f"{number},{str(rng.random() < chance).lower()}")
        out[f"landing/bookings/2026-03-{day:02}.csv"] = "\n".join(bookings) + "\n"
        out[f"landing/outcomes/2026-03-{day + 1:02}.csv"] = "\n".join(outcomes) + "\n"
    return out


def backfill(last=7):
    return ("backfill", "daily", "--from", "2026-03-01", "--to", f"2026-03-{last:02}")
