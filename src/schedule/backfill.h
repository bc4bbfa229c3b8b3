#pragma once
#include <functional>
#include <string>
#include <vector>

#include "schedule/runner.h"
#include "schedule/timetable.h"

namespace quern::schedule {

/// A schedule of quern.yml, ready to run.
struct Schedule {
  std::string name;
  Timetable timetable;
  bool catchup = false;
  bool full_refresh = false;
};

/// The context of one interval: dag run id, logical date, interval, zone, and what all runs share (from `base`).
RunContext ContextOf(const Schedule& schedule, const Interval& interval, const RunContext& base);

/// Undoes what a schedule's runs did from a logical date on, before they are run again. project/ implements it on the
/// warehouse: for each table that the nodes write, find in its history the first commit whose quernLogicalDate is >=
/// `from` and whose quernDagRun is of `dag`, and restore the version before it, txn records included (drop the table
/// when there is none).
class RerunPreparer {
 public:
  virtual ~RerunPreparer() = default;
  struct Restored {
    std::string table;
    int64_t version = 0;  ///< -1: dropped, the first rerun interval makes it again
  };
  /// Refuses, naming the table, when it cannot be undone: somebody else's commit (another DAG, a node outside `nodes`,
  /// `quern sql`) came after the first one that would go, or the version before it is no longer there. Changes nothing.
  virtual Result<void> Check(const std::string& dag, Timestamp from, const std::vector<const Node*>& nodes) = 0;
  /// Restores. Idempotent: it is called again when the process died before its success was recorded.
  virtual Result<std::vector<Restored>> Restore(const std::string& dag, Timestamp from,
                                                const std::vector<const Node*>& nodes) = 0;
};

struct BackfillOptions {
  RunnerOptions runner;  ///< `store` is needed
  RunContext base;       ///< what all runs share: vars, target, git commit, invocation id, clock
  bool rerun = false;
  RerunPreparer* preparer = nullptr;  ///< needed for `rerun`
  /// Before and after each interval, for the terminal.
  std::function<void(const RunContext&, int index, int count, bool replay)> interval_begins;
  std::function<void(const RunContext&, const RunReport&)> interval_ends;
  std::function<void(const std::vector<RerunPreparer::Restored>&)> restored;
};

struct BackfillReport {
  struct Item {
    std::string dag_run;
    Interval interval;
    std::string state;  ///< success, failed, cancelled; done (before this call)
    bool replay = false;
  };
  std::vector<Item> items;  ///< intervals gone through, in order
  int remaining = 0;        ///< not reached, because one failed or was cancelled
  std::string state;        ///< success, failed, cancelled
  std::string advice;       ///< how to go on, when not success
};

/// Runs the intervals of a schedule with from <= logical date <= to that are complete, in order, one at a time.
/// Finished ones are skipped. Stops at the first that does not succeed.
///
/// With `rerun`: everything that the schedule did from the first of these intervals on is undone (RerunPreparer), then
/// these intervals are run again and the later ones that had succeeded are replayed, in order, since each builds on the
/// one before. Killed or failed anywhere, the next backfill (without `rerun`) or scheduler of this schedule first goes
/// on with it; nothing else of the schedule runs until it is finished (kRerunPending). Errors: kInvalidArgument when no
/// complete interval lies there (the hint says which do), kIntervalRunning, the store's.
Result<BackfillReport> Backfill(const Schedule& schedule, const Workload& work, Timestamp from, Timestamp to,
                                const BackfillOptions& options);

/// Finishes a rerun that was begun and interrupted; nothing when there is none.
Result<std::optional<BackfillReport>> ResumeRerun(const Schedule& schedule, const Workload& work,
                                                  const BackfillOptions& options);

}  // namespace quern::schedule
