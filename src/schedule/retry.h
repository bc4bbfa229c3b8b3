#pragma once
#include "schedule/runner.h"

namespace quern::schedule {

/// Runs a DAG run again from where it failed: tasks that are done stay, failed, skipped, cancelled and interrupted ones
/// run. `work` is made by the caller from the recorded selection (DagRun::select, exclude). `base` as for a backfill.
/// Gives the report of an already finished run with already_done set. Errors: as Run.
Result<RunReport> Retry(const DagRun& run, const Workload& work, const RunContext& base, const TimeZone& zone,
                        const RunnerOptions& options);

}  // namespace quern::schedule
