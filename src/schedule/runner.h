#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "schedule/node_graph.h"
#include "schedule/run_store.h"

namespace quern::schedule {

/// Told what happens in a run: one call at a time, in order, on the thread that called Run. Must not block long.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// `total`: nodes that will be run, `done`: selected nodes that an earlier attempt finished.
  virtual void RunBegins(const RunContext& /*run*/, int /*total*/, int /*done*/) {}
  virtual void TaskStarts(const Node& /*node*/, int /*try_number*/) {}
  virtual void TaskRetries(const Node& /*node*/, int /*try_number*/, const TaskResult& /*failed*/) {}
  virtual void TaskEnds(const FinishedTask& /*task*/, int /*finished*/, int /*total*/) {}
};

/// How often a failed task is tried again. Tasks that say retryable = false are not.
struct RetryPolicy {
  int retries = 0;
  std::chrono::milliseconds delay{0};
};
/// `retries` and `retry_delay` (seconds, or text such as "30s", "5m") of a node's config; else the default.
RetryPolicy RetryPolicyOf(const Node& node, const RetryPolicy& otherwise);

/// Bounds the tasks that run at once over several runs (`quern up`).
class TaskSlots {
 public:
  explicit TaskSlots(int count) : free_(count) {}
  void Acquire() { free_.acquire(); }
  void Release() { free_.release(); }

 private:
  std::counting_semaphore<1 << 20> free_;
};

struct RunnerOptions {
  int threads = 0;  ///< 0: as many as cores
  bool fail_fast = false;
  RetryPolicy retry{};
  Cancellation cancellation{};
  RunObserver* observer = nullptr;
  RunStore* store = nullptr;         ///< null: nothing is recorded, nothing resumed
  std::filesystem::path log_root{};  ///< .quern/logs; empty: no logs are kept
  TaskSlots* slots = nullptr;
  bool requeue_when_cancelled = false;  ///< a cancelled run stays `queued`, so that the scheduler goes on with it
};

/// What a run is about, beyond its context.
struct Workload {
  const NodeGraph* graph = nullptr;
  std::vector<bool> selected;         ///< one for each node; nodes with runs = false are passed through
  std::vector<std::string> select{};  ///< as asked: recorded
  std::vector<std::string> exclude{};
  bool redo = false;      ///< what an earlier attempt finished is done again (--full-refresh)
  bool exclusive = true;  ///< see RunStore::Begin
};

struct RunReport {
  std::string dag_run;
  std::string state;                     ///< success, failed, cancelled
  bool already_done = false;             ///< every selected node had been done before: nothing was run
  std::vector<FinishedTask> tasks;       ///< of this attempt, in the order of their end
  std::vector<std::string> done_before;  ///< selected nodes that an earlier attempt finished
  std::map<std::string, int> counts;     ///< state -> tasks of this attempt
  Timestamp started;
  Timestamp ended;
  std::optional<Error> error;  ///< what went wrong beside the tasks (EndRun, the metadata database)
};

/// Runs the selected nodes for one interval, each after those that it depends on (through nodes that are not selected
/// too). A failed node's descendants are skipped, everything else goes on. Of the nodes that may start, that with the
/// longest way to the end starts first (by the time each took last, coarsely, when the store knows), then the first in
/// id order. Changes are recorded, and the observer is called, on the caller's thread, while the workers go on. With a
/// store: takes the interval (kIntervalRunning), leaves out what an earlier attempt finished, records each change as it
/// happens. Errors are what keeps the run from starting, or the store from recording; a failing task is no error but
/// the report's. When the store fails in the middle the run is stopped and its error returned: what is not recorded is
/// run again.
Result<RunReport> Run(const Workload& work, const RunContext& context, const RunnerOptions& options);

}  // namespace quern::schedule
