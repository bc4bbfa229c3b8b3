"""Monitoring tables as the models' nodes write them, made up: pages and metrics are tested without training anything."""

import json
import math
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
BINARY = ["accuracy", "auc", "average_precision", "log_loss", "brier", "precision", "recall", "f1", "tp", "fp", "tn", "fn"]
REGRESSION = ["rmse", "mae", "mape", "r2", "max_error", "mean_error"]
CLASSES = ["accuracy", "log_loss", "precision", "recall", "f1", "auc"]
TIME = "TIMESTAMP WITH TIME ZONE"
PERIOD = {"period_start": TIME, "period_end": TIME}
END = {"dag_run": "VARCHAR", "_quern_computed_at": TIME}
QUANTILES = dict.fromkeys(["p05", "p25", "p50", "p75", "p95"], "DOUBLE")


def performance(metrics, more):
    figures = {name: "DOUBLE" for metric in metrics for name in (metric, f"dummy_{metric}")}
    return {**PERIOD, "slice": "VARCHAR", "model_version": "BIGINT", "rows": "BIGINT", "labeled": "BIGINT", **figures, **more, **END}


PREDICTIONS = {**PERIOD, "slice": "VARCHAR", "model_version": "BIGINT", "rows": "BIGINT", "mean": "DOUBLE", "variance": "DOUBLE", "min": "DOUBLE",
               "max": "DOUBLE", **QUANTILES, "class_shares": "VARCHAR", "confidence": "VARCHAR", **END}
PROFILE = {**PERIOD, "model_version": "BIGINT", "feature": "VARCHAR", "type": "VARCHAR", "rows": "BIGINT", "nulls": "BIGINT", "null_rate": "DOUBLE",
           "cardinality": "BIGINT", "mean": "DOUBLE", "stddev": "DOUBLE", "min": "DOUBLE", "max": "DOUBLE", **QUANTILES, "histogram": "VARCHAR", **END}
DRIFT = {**PERIOD, "model_version": "BIGINT", "feature": "VARCHAR", "method": "VARCHAR", "value": "DOUBLE", "threshold": "DOUBLE", "drifted": "BOOLEAN",
         "is_default": "BOOLEAN", "reference_rows": "BIGINT", "current_rows": "BIGINT", "note": "VARCHAR", **END}
RETRAINING = {**PERIOD, "verdict": "BOOLEAN", "expression": "VARCHAR", "reason": "VARCHAR", "values": "VARCHAR", "model_version": "BIGINT", **END}
DECISIONS = {**PERIOD, "decision": "VARCHAR", "candidate": "VARCHAR", "run_id": "VARCHAR", "model_version": "BIGINT", "champion_before": "BIGINT",
             "metric": "VARCHAR", "candidate_value": "DOUBLE", "champion_value": "DOUBLE", "dummy_value": "DOUBLE", "reason": "VARCHAR",
             "decided_by": "VARCHAR", "candidates": "VARCHAR", **END}


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}+00'"
    if isinstance(value, (dict, list)):
        value = json.dumps(value)
    return "'" + value.replace("'", "''") + "'"


def table(name, columns, rows):
    """SQL that makes a table of rows given as dicts; what a row does not have is null."""
    listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    sql = f"CREATE TABLE monitoring.{name} ({listed});\n"
    if rows:
        values = ",\n".join("(" + ", ".join(literal(row.get(column)) for column in columns) + ")" for row in rows)
        sql += f"INSERT INTO monitoring.{name} VALUES\n{values};\n"
    return sql


def months(year=2013, first=2, last=11):
    for month in range(first, last + 1):
        start = datetime(year, month, 1, tzinfo=NEW_YORK)
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=NEW_YORK)
        yield month, {"period_start": start, "period_end": end, "dag_run": f"monthly/{date(year, month, 1)}",
                      "_quern_computed_at": datetime(2026, 1, month, 3, tzinfo=timezone.utc)}


def version(month):
    return 1 if month < 6 else 2 if month < 9 else 3


def binary(name="late_arrival", evil=""):
    """Ten months: champions v1 to v3, one retraining rejected, drift in summer. `evil` is put wherever a table has text."""
    quality, predictions, drift, profile, verdicts, decisions = [], [], [], [], [], []
    features = ["carrier", "origin", "dest", "distance", "hour", "weekday", "seats", "plane_age", "wind_past_month", "late_share_past_month" + evil]
    for month, period in months():
        share = 0.22 + 0.09 * math.cos((month - 0.5) / 12 * 4 * math.pi)
        auc = 0.71 - (0.05 if month in (5, 8) else 0.01 * (month % 3))
        for slice_, move in [("", 0), ("origin=JFK", 0.02), ("origin=EWR", -0.03), ("origin=LGA", 0.01), ("carrier=US" + evil, -0.09)]:
            rows = 28000 if not slice_ else 9000
            tp = int(rows * share * 0.3)
            quality.append({**period, "slice": slice_, "model_version": version(month), "rows": rows, "labeled": rows - 600, "positive_share": share,
                            "auc": auc + move, "dummy_auc": 0.5, "log_loss": 0.52 - share / 9 - move / 3, "dummy_log_loss": 0.55 - share / 20,
                            "average_precision": 0.4, "dummy_average_precision": share, "brier": 0.15, "dummy_brier": 0.17, "accuracy": 0.78,
                            "dummy_accuracy": 1 - share, "precision": 0.5, "dummy_precision": 0.0, "recall": 0.3, "dummy_recall": 0.0, "f1": 0.37,
                            "dummy_f1": 0.0, "tp": tp, "fp": tp, "fn": int(rows * share) - tp, "tn": rows - 600 - int(rows * share) - tp,
                            "calibration": [{"lower": i / 10, "upper": (i + 1) / 10, "rows": 9000 // (i + 1), "mean_score": i / 10 + 0.04,
                                             "positive_share": min(1, (i / 10 + 0.04) * (0.8 + share))} for i in range(9)]})
        counts = [int(9000 * math.exp(-((i - 4) ** 2) / 9)) for i in range(20)]
        predictions.append({**period, "slice": "", "model_version": version(month), "rows": 28000, "mean": 0.2 + share / 10, "min": 0.01, "max": 0.95,
                            "p05": 0.05, "p25": 0.11 + share / 20, "p50": 0.19 + share / 10, "p75": 0.3 + share / 8, "p95": 0.55 + share / 5,
                            "class_shares": {"false": 0.87, "true": 0.13}, "confidence": {"edges": [i / 20 for i in range(21)], "counts": counts}})
        for i, feature in enumerate([*features, "prediction"]):
            value = abs(math.sin(i * 1.7 + month / 3)) * (0.16 if i > 6 else 0.07) + (0.12 if month in (7, 8) and i > 7 else 0)
            method = "jensenshannon" if i < 3 else "wasserstein"
            drift.append({**period, "model_version": version(month), "feature": feature, "method": method, "value": value, "threshold": 0.1,
                          "drifted": value >= 0.1, "is_default": True, "reference_rows": 80000, "current_rows": 28000, "note": evil})
            drift.append({**period, "model_version": version(month), "feature": feature, "method": "psi", "value": value * 9, "threshold": 0.1,
                          "drifted": True, "is_default": False, "reference_rows": 80000, "current_rows": 28000})
            if feature != "prediction":
                profile.append({**period, "model_version": version(month), "feature": feature, "type": "VARCHAR" if i < 3 else "DOUBLE", "rows": 28000,
                                "nulls": 12 * i, "null_rate": 12 * i / 28000, "cardinality": 3 + i * 5, "mean": None if i < 3 else 3.5 * i,
                                "stddev": None if i < 3 else 1.5, "min": None if i < 3 else 0.0, "p50": None if i < 3 else 3.0 * i,
                                "max": None if i < 3 else 90.0 * i})
        asked = month in (2, 5, 8, 11)
        reason = {2: "there is no champion yet", 5: "auc 0.66 < 0.7", 8: "auc 0.66 < 0.7 and drift.share 0.4 > 0.3", 11: "age 3 months > 2 months"}
        verdicts.append({**period, "verdict": asked, "expression": "auc < 0.70 or drift.share > 0.3 or age > 6 months" + evil,
                         "reason": reason.get(month, f"auc {auc:.2f} is not < 0.7, drift.share 0.1 is not > 0.3") + evil, "values": {"auc": auc},
                         "model_version": None if month == 2 else version(month)})
        if asked:
            names = ["p1_last_3_months", "p2_last_3_months", "p1_all", "p2_all" + evil]
            best = names[1] if month < 11 else names[0]
            listed = [{"candidate": one, "run_id": f"{i:032x}", "frame": one[3:], "parameters": {"max_depth": 4 + 2 * (i % 2), "eta": 0.1},
                       "metrics": {"auc": 0.70 + i / 100, "log_loss": 0.48 - i / 200, "brier": 0.14, "accuracy": 0.79}, "validation": {"auc": 0.7},
                       "rows": 60000 + 30000 * i} for i, one in enumerate(names)]
            decisions.append({**period, "decision": "rejected" if month == 11 else "promoted", "candidate": best, "run_id": "1" * 32,
                              "model_version": None if month == 11 else {2: 1, 5: 2, 8: 3}[month], "champion_before": {2: None, 5: 1, 8: 2, 11: 3}[month],
                              "metric": "auc", "candidate_value": 0.71, "champion_value": None if month == 2 else 0.69, "dummy_value": 0.5,
                              "reason": ("auc 0.71 is not better than the champion's 0.709 by 0.002" if month == 11 else "auc 0.71 beats 0.69") + evil,
                              "decided_by": period["dag_run"] + evil, "candidates": listed})
    more = {"positive_share": "DOUBLE", "calibration": "VARCHAR"}
    return (table(f"{name}_performance", performance(BINARY, more), quality) + table(f"{name}_predictions", PREDICTIONS, predictions)
            + table(f"{name}_drift", DRIFT, drift) + table(f"{name}_profile", PROFILE, profile)
            + table(f"{name}_retraining", RETRAINING, verdicts) + table(f"{name}_decisions", DECISIONS, decisions)
            + f"CREATE SCHEMA IF NOT EXISTS predictions;\nCREATE TABLE predictions.{name} AS SELECT i AS flight, 0.5 AS score FROM range(280000) t(i);\n")


def regression(name="use"):
    """Weekly, without drift and decisions."""
    quality, predictions = [], []
    for month, period in months(2026, 1, 6):
        quality.append({**period, "slice": "", "model_version": 1, "rows": 700, "labeled": 690, "rmse": 12.5 + month, "dummy_rmse": 30.0,
                        "mae": 9.0 + month, "dummy_mae": 22.0, "mape": 0.2, "dummy_mape": 0.5, "r2": 0.8 - month / 50, "dummy_r2": -0.01,
                        "max_error": 88.0, "dummy_max_error": 120.0, "mean_error": -0.5, "dummy_mean_error": 1.0})
        predictions.append({**period, "slice": "", "model_version": 1, "rows": 700, "mean": 120.0, "min": 3.0, "max": 400.0, "p05": 20.0, "p25": 80.0,
                            "p50": 110.0 + month, "p75": 160.0, "p95": 290.0})
    return table(f"{name}_performance", performance(REGRESSION, {}), quality) + table(f"{name}_predictions", PREDICTIONS, predictions)


def classes(name="room"):
    quality, predictions = [], []
    for month, period in months(2026, 1, 4):
        quality.append({**period, "slice": "", "model_version": 1, "rows": 90, "labeled": 90, "log_loss": 0.9, "dummy_log_loss": 1.09,
                        "accuracy": 0.6, "dummy_accuracy": 0.4, "auc": 0.7, "dummy_auc": 0.5, "f1": 0.5, "dummy_f1": 0.2, "precision": 0.5,
                        "dummy_precision": 0.1, "recall": 0.5, "dummy_recall": 0.3, "confusion": {}})
        predictions.append({**period, "slice": "", "model_version": 1, "rows": 90, "class_shares": {"kitchen": 0.5, "hall": 0.3, "bath": 0.2}})
    return table(f"{name}_performance", performance(CLASSES, {"confusion": "VARCHAR"}), quality) + table(f"{name}_predictions", PREDICTIONS, predictions)


def write(project, *texts):
    file = project.folder / "monitored.sql"
    file.write_text("CREATE SCHEMA IF NOT EXISTS monitoring;\n" + "".join(texts), "utf-8")
    project.quern("sql", "--file", file)
    file.unlink()
