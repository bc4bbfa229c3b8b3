"""Says what every meter will use on each day of the next week: the mean of the same weekdays so far."""

import json
import os
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from deltalake import DeltaTable, QueryBuilder

table = DeltaTable(os.environ["QUERN_INPUT_METERS_DAILY_USE"], version=int(os.environ["QUERN_INPUT_METERS_DAILY_USE_VERSION"]))
batches = QueryBuilder().register("use", table).execute(
    "select meter_id, cast(day as varchar) as day, cast(kwh as varchar) as kwh from use").read_all()
use = defaultdict(list)
for meter, day, kwh in zip(*(batches.column(name).to_pylist() for name in ("meter_id", "day", "kwh"))):
    use[meter, date.fromisoformat(day).weekday()].append(Decimal(kwh))

end = datetime.fromisoformat(os.environ["QUERN_INTERVAL_END"].replace("Z", "+00:00"))
first = end.astimezone(ZoneInfo("Europe/Berlin")).date()
out = Path(os.environ["QUERN_OUT"]) / "forecasts.next_week"
out.mkdir(parents=True, exist_ok=True)
rows = 0
with open(out / "forecast.jsonl", "w", encoding="utf-8") as file:
    for meter in sorted({meter for meter, _ in use}):
        for day in (first + timedelta(days=n) for n in range(int(os.environ["FORECAST_DAYS"]))):
            known = use.get((meter, day.weekday()))
            if known:
                mean = float(round(sum(known) / len(known), 3))
                print(json.dumps({"meter_id": meter, "day": str(day), "kwh": mean}), file=file)
                rows += 1
Path(os.environ["QUERN_RESULT"]).write_text(json.dumps({"forecasts": rows, "first_day": str(first)}), "utf-8")
print(f"{rows} forecasts from {first} on")
