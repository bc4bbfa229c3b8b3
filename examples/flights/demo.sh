#!/usr/bin/env bash
# Plays the year back on a copy of this project and shows what came of it. usage: demo.sh QUERN [FOLDER]
set -euo pipefail
quern=$(readlink -f "${1:?usage: demo.sh QUERN [FOLDER]}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
copy=${2:-$here/../../build/demo}

rm -rf "$copy"
mkdir -p "$copy"
copy=$(cd "$copy" && pwd)
for part in quern.yml README.md ingest dbt ml landing; do
  cp -r "$here/$part" "$copy/"
done
rm -rf "$copy/dbt/target" "$copy/dbt/logs"

started=$SECONDS
"$quern" backfill monthly --from 2013-01-01 --to 2013-12-31 --project-dir "$copy"
echo
echo "The year by month:"
"$quern" sql --project-dir "$copy" "
  select strftime(flight_month, '%Y-%m') as month, flights, late, round(100.0 * late / arrived, 1) as late_percent, cancelled, diverted
  from reports.monthly_summary order by flight_month"
echo
echo "Each month's champion, as it was judged when the month had ended, and beside it a guess by the share of late flights alone:"
"$quern" sql --project-dir "$copy" "
  select strftime(period_start at time zone 'America/New_York', '%Y-%m') as month, model_version as champion, labeled as arrived,
         round(auc, 3) as auc, dummy_auc, round(log_loss, 3) as log_loss, round(dummy_log_loss, 3) as dummy_log_loss
  from monitoring.late_arrival_performance where slice = '' order by period_start"
echo
echo "Retrainings:"
"$quern" sql --project-dir "$copy" "
  select strftime(d.period_start at time zone 'America/New_York', '%Y-%m') as month, r.reason as why, d.decision, d.candidate,
         round(d.candidate_value, 4) as auc, round(d.champion_value, 4) as champion_auc
  from monitoring.late_arrival_decisions as d
  join monitoring.late_arrival_retraining as r on r.period_start = d.period_start
  order by d.period_start"
echo
echo "Planes that changed hands:"
"$quern" sql --project-dir "$copy" "
  select tailnum, carrier, strftime(dbt_valid_from, '%Y-%m-%d') as valid_from, strftime(dbt_valid_to, '%Y-%m-%d') as valid_to
  from snapshots.plane_operators
  where tailnum in (select tailnum from snapshots.plane_operators where dbt_valid_to is not null)
  order by tailnum, dbt_valid_from limit 10"
echo
echo "played back in $((SECONDS - started)) s"
report=$(find "$copy" -name report.html -print -quit)
[[ -z $report ]] || echo "report: $report"
echo "look around: $quern sql --project-dir $copy"
