#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "schedule/backfill.h"

namespace quern::schedule {

/// The loop of `quern up`: runs each schedule's due intervals, in order, one at a time; different schedules side by
/// side. First goes on with what an earlier process left under way. A schedule with catchup waits at an interval that
/// failed until it is retried (`quern retry`), one without goes on with the latest interval.
class Scheduler {
 public:
  /// Runs one interval (RunnerOptions::requeue_when_cancelled set, so that the next scheduler goes on with it); called
  /// from a thread of its own for each schedule. `cancellation` is the scheduler's.
  using RunInterval = std::function<Result<RunReport>(const Schedule&, const Interval&, const Cancellation&)>;
  /// Finishes an interrupted --rerun; called before anything else of that schedule.
  using Resume = std::function<Result<void>(const Schedule&, const Cancellation&)>;

  struct Options {
    const Clock* clock = nullptr;
    RunStore* store = nullptr;
    int parallel = 1;  ///< schedules that may run at once
    /// Longest wait before the database is looked at again (another process may have retried a run).
    std::chrono::milliseconds look_again{5'000};
  };
  Scheduler(std::vector<Schedule> schedules, Options options, RunInterval run, Resume resume = {});
  ~Scheduler();

  /// Returns when `cancellation` is cancelled and what was running has stopped. An error of the store or of RunInterval
  /// blocks its schedule until the database is looked at again; it is logged and stands in the status.
  void Loop(const Cancellation& cancellation);
  /// Looks again now: the clock or the database changed. Thread-safe.
  void Wake();

  struct Status {
    std::string schedule;
    std::string state;  ///< starting, waiting, running, blocked (an interval failed), ended (no interval left)
    std::optional<Interval> interval;   ///< running or blocked
    std::optional<Timestamp> next_due;  ///< waiting
    std::string message;
  };
  std::vector<Status> status() const;  ///< thread-safe

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern::schedule
