"""Make landing/: invented repairs of coffee machines in and around Sydney, across the end of summer time.

The files are committed; this is how they were made. The same run gives the same bytes.
"""

import gzip
import json
import math
import random
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

SYDNEY = ZoneInfo("Australia/Sydney")
LANDING = Path(__file__).resolve().parent / "landing"
FIRST_MONDAY = date(2026, 2, 2)
WEEKS = 16
MACHINES = 320

BRANCHES = {"Parramatta": 0.0, "Newtown": 0.15, "Manly": 0.35}
BRANDS = {"Perkolata": 0.0, "Öko": 0.3, "Brüh & Söhne": 0.7, "Caffè Uno": -0.2}
SYMPTOMS = {"no steam": 1.4, "leaks": 0.5, "noise": 0.0, "error code": 0.9, "cold": 0.6, "grinder stuck": -0.2}
CONTRACTS = {"none": 0.4, "silver": 0.1, "gold": -0.3}
NEW_BRAND_WEEK = 6  # a brand that no model has seen before
NEW_RULE_WEEK = 8  # from here on every machine with a boiler must be tested under pressure
NEW_DISTRICT_WEEK = 12  # Manly's vans drive further


def monday(week):
    return FIRST_MONDAY + timedelta(weeks=week)


def utc(day, minutes):
    """An instant by the clock of Sydney, as UTC."""
    local = datetime(day.year, day.month, day.day, tzinfo=SYDNEY) + timedelta(minutes=minutes)
    return local.astimezone(timezone.utc)


def maybe(value, rng, missing):
    return None if rng.random() < missing else value


def packed(name, text):
    path = LANDING / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        out.write(text.encode("utf-8"))


def csv(columns, rows):
    def field(value):
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    return "\n".join([",".join(columns)] + [",".join(field(row[c]) for c in columns) for row in rows]) + "\n"


def machine(number, brands, rng):
    return {"machine_no": number, "brand": rng.choice(brands), "branch": rng.choice(list(BRANCHES)), "contract": rng.choice(list(CONTRACTS)),
            "site": rng.choice(["office", "café", "hotel", "clinic"]), "age": round(rng.uniform(0.2, 14), 1),
            "km": round(rng.uniform(1, 35), 1), "cups": round(rng.lognormvariate(3.8, 0.6)), "hardness": round(rng.uniform(40, 320))}


def true_hours(job, owner, week, rng):
    hours = 0.9 + BRANCHES[job["branch"]] + {**BRANDS, "Señora": 0.5}[owner["brand"]] + SYMPTOMS[job["true_symptom"]]
    hours += CONTRACTS[owner["contract"]] + 0.02 * owner["km"] + 0.03 * owner["age"] + 0.25 * math.log1p(owner["cups"]) - 0.6
    hours += 0.004 * max(owner["hardness"] - 150, 0) * (2.0 if job["true_symptom"] in ("no steam", "cold") else 0.5)
    if week >= NEW_RULE_WEEK and job["true_symptom"] != "grinder stuck":
        hours += 0.4 if owner["brand"] == "Caffè Uno" else 1.3
    return round(max(0.25, hours * rng.lognormvariate(0, 0.16)), 2)


def week_of_jobs(week, number, owners, rng):
    jobs = []
    for _ in range(rng.randint(190, 240)):
        number += 1
        owner = owners[rng.choice(list(owners))]
        # Monday to Friday, booked in quarters of an hour between seven and half past four.
        booked = utc(monday(week) + timedelta(days=rng.randrange(5)), 7 * 60 + 15 * rng.randrange(39))
        branch = owner["branch"] if rng.random() < 0.9 else rng.choice(list(BRANCHES))
        km = owner["km"] * (2.2 if week >= NEW_DISTRICT_WEEK and branch == "Manly" else 1.0)
        symptom = rng.choice(list(SYMPTOMS))
        job = {"job_no": f"R{number:05d}", "booked_for": booked.strftime("%Y-%m-%dT%H:%M:%SZ"), "machine_no": owner["machine_no"],
               "branch": branch, "bay": rng.randint(1, 6), "brand": maybe(owner["brand"], rng, 0.08), "symptom": maybe(symptom, rng, 0.3),
               "reported_by": maybe(rng.choice(["staff", "owner", "hotline"]), rng, 0.6), "age_years": maybe(owner["age"], rng, 0.45),
               "distance_km": maybe(round(km, 1), rng, 0.15), "under_warranty": maybe(owner["age"] < 2, rng, 0.25),
               "true_symptom": symptom, "week": week}
        job["hours"] = true_hours(job, {**owner, "km": km}, week, rng)
        jobs.append(job)
    return number, jobs


def main():
    rng = random.Random(4242)
    owners = {n: machine(n, list(BRANDS), rng) for n in range(1, MACHINES + 1)}
    number, sheets, columns = 0, {}, ["job_no", "booked_for", "machine_no", "branch", "bay", "brand", "symptom", "reported_by", "age_years",
                                     "distance_km", "under_warranty"]
    # One file more than weeks: the last run predicts a week whose jobs are booked already.
    for week in range(WEEKS + 1):
        if week == NEW_BRAND_WEEK:
            owners.update({n: machine(n, ["Señora"], rng) for n in range(MACHINES + 1, MACHINES + 61)})
        for n in rng.sample(sorted(owners), 12 if week else 0):
            owners[n]["contract"] = rng.choice(list(CONTRACTS))
        number, jobs = week_of_jobs(week, number, owners, rng)
        packed(f"jobs/{monday(week)}.csv.gz", csv(columns, jobs))
        # The whole list of machines, as it stands on Monday.
        packed(f"machines/{monday(week)}.csv.gz", csv(["machine_no", "contract", "site"], owners.values()))
        # Counters are read now and then; a machine may not be heard of for months.
        read = [{"machine_no": n, "cups_per_day": max(0, round(owners[n]["cups"] * rng.lognormvariate(0, 0.1))),
                 "water_hardness": maybe(owners[n]["hardness"], rng, 0.3)} for n in sorted(owners) if rng.random() < 0.18]
        packed(f"counters/{monday(week)}.csv.gz", csv(["machine_no", "cups_per_day", "water_hardness"], read))
        # A job's sheet is handed in by the end of its week, or one or two weeks later, or never.
        for job in jobs if week < WEEKS else []:
            late = rng.choices([0, 1, 2, None], [0.62, 0.25, 0.1, 0.03])[0]
            if late is not None:
                sheet = {"job_no": job["job_no"], "hours": job["hours"]}
                sheets.setdefault(week + 1 + late, []).append(sheet)
                # Some sheets come once more a week later, corrected.
                if late < 2 and rng.random() < 0.02:
                    sheets.setdefault(week + 2 + late, []).append({**sheet, "hours": round(sheet["hours"] + 0.25, 2)})
        if sheets.get(week):
            lines = [json.dumps(sheet, ensure_ascii=False) for sheet in sheets[week]]
            packed(f"sheets/week-{monday(week):%Y%m%d}.jsonl.gz", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
