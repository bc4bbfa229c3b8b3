#include "schedule/scheduler.h"

#include <thread>

#include "base/log.h"
#include "base/text.h"

namespace quern::schedule {
namespace {

/// What a schedule would do next.
struct Next {
  enum class Kind { kRun, kRerun, kWait, kBlocked, kEnded } kind = Kind::kEnded;
  std::optional<Interval> interval;
  std::optional<Timestamp> due;
  std::string message;
};

/// Reads the history and says what a schedule does next. No side effects.
class Decision {
 public:
  /// `done_until`: no interval before it is left; kept from one decision to the next.
  Decision(const Schedule& schedule, RunStore& store, const Clock& clock, std::optional<Timestamp>& done_until)
      : schedule_(schedule), store_(store), now_(clock.Now()), done_until_(done_until) {}

  Result<Next> Make() {
    RunStore::Filter filter;
    filter.dag = schedule_.name;
    filter.newest_first = false;
    const auto runs = QUERN_TRY(store_.Runs(filter));
    std::optional<Interval> failed;
    std::string failure;
    for (const DagRun& run : runs) {
      if (run.state != "success" && done_until_ && run.logical_date < *done_until_) done_until_.reset();
      states_[run.logical_date] = run.state;
      // What was under way or waiting goes first, in logical order, whatever the schedule's catchup.
      if (run.state == "interrupted" || run.state == "queued") {
        if (failed && schedule_.catchup) break;
        return Next{Next::Kind::kRun, run.interval, {}, "goes on after an interruption"};
      }
      if (run.state == "failed" || run.state == "cancelled") {
        failed = run.interval;
        failure = fmt::format("{} {}: `quern retry {}`", run.id, run.state, run.id);
      }
    }
    return schedule_.catchup ? Catchup(failed, failure) : Latest();
  }

 private:
  Result<Next> Catchup(const std::optional<Interval>& failed, const std::string& failure) {
    const auto& bounds = schedule_.timetable.bounds();
    std::optional<Interval> next;
    if (done_until_) {
      next = schedule_.timetable.FirstFrom(*done_until_);
    } else if (bounds.start) {
      next = schedule_.timetable.FirstFrom(*bounds.start);
    } else if (!states_.empty()) {
      next = schedule_.timetable.FirstFrom(states_.begin()->first);
    } else {
      next = LatestOrFirst();
    }
    while (next && Succeeded(next->start)) next = schedule_.timetable.FirstFrom(next->end);
    if (!next) return Ended();
    done_until_ = next->start;
    if (failed && failed->start <= next->start) return Next{Next::Kind::kBlocked, failed, {}, failure};
    return WhenDue(*next);
  }

  Result<Next> Latest() {
    const auto latest = LatestOrFirst();
    if (!latest) return Ended();
    if (!states_.contains(latest->start)) return WhenDue(*latest);
    const auto after = schedule_.timetable.FirstFrom(latest->end);
    if (!after) return Ended();
    return WhenDue(*after);
  }

  std::optional<Interval> LatestOrFirst() const {
    if (auto latest = schedule_.timetable.LatestComplete(now_)) return latest;
    // None is complete: the interval that is open now is the first one, or the first one is still to come.
    const auto begun = schedule_.timetable.cron().Previous(now_ + std::chrono::microseconds(1));
    return begun ? schedule_.timetable.FirstFrom(*begun) : std::nullopt;
  }

  Next WhenDue(const Interval& interval) const {
    if (interval.end <= now_) return {Next::Kind::kRun, interval, {}, ""};
    return {Next::Kind::kWait, interval, interval.end, ""};
  }
  static Next Ended() { return {Next::Kind::kEnded, {}, {}, "no interval is left"}; }
  bool Succeeded(Timestamp logical_date) const {
    const auto it = states_.find(logical_date);
    return it != states_.end() && it->second == "success";
  }

  const Schedule& schedule_;
  RunStore& store_;
  Timestamp now_;
  std::optional<Timestamp>& done_until_;
  std::map<Timestamp, std::string> states_;
};

}  // namespace

struct Scheduler::State {
  std::vector<Schedule> schedules;
  Options options;
  RunInterval run;
  Resume resume;

  mutable std::mutex mutex;
  std::condition_variable changed;
  uint64_t wakes = 0;
  int running = 0;
  std::map<std::string, Status> status;

  void Set(const std::string& schedule, Status status_now) {
    std::lock_guard lock(mutex);
    status_now.schedule = schedule;
    status[schedule] = std::move(status_now);
  }

  /// Sleeps until something changed, or `due` by the injected clock, or it is time to look at the database again.
  void Sleep(std::unique_lock<std::mutex>& lock, uint64_t seen, std::optional<Timestamp> due,
             const Cancellation& cancellation) {
    auto wait = options.look_again;
    if (due) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - options.clock->Now());
      wait = std::clamp(left, std::chrono::milliseconds(0), wait);
    }
    changed.wait_for(lock, wait, [&] { return wakes != seen || cancellation.cancelled(); });
  }

  Result<Next> Decide(const Schedule& schedule, std::optional<Timestamp>& done_until) {
    const auto pending = QUERN_TRY(options.store->PendingRerun(schedule.name));
    if (pending) return Next{Next::Kind::kRerun, Interval{pending->from, pending->until}, {}, "goes on with a rerun"};
    return Decision(schedule, *options.store, *options.clock, done_until).Make();
  }

  /// One schedule's loop, until cancelled.
  void Serve(const Schedule& schedule, const Cancellation& cancellation) {
    std::optional<Timestamp> done_until;
    std::optional<Interval> last_run;
    std::string last_message;
    std::string logged;
    while (!cancellation.cancelled()) {
      uint64_t seen = 0;
      {
        std::lock_guard lock(mutex);
        seen = wakes;
      }
      auto decided = Decide(schedule, done_until);
      Next next = decided ? *decided : Next{Next::Kind::kBlocked, {}, {}, decided.error().message()};
      const bool runs = next.kind == Next::Kind::kRun || next.kind == Next::Kind::kRerun;
      if (runs && last_run == next.interval) {
        // It was run just now and is still not done, nor failed: somebody else is at it, or the project did not load.
        next = {
            Next::Kind::kBlocked, next.interval, {}, last_message.empty() ? "it could not be finished" : last_message};
        last_run.reset();
      } else if (runs) {
        if (!AwaitTurn(cancellation)) return;
        Set(schedule.name, {"", "running", next.interval, {}, next.message});
        const auto outcome = RunOne(schedule, next.kind == Next::Kind::kRerun, *next.interval, cancellation);
        {
          std::lock_guard lock(mutex);
          --running;
        }
        changed.notify_all();
        last_run = next.interval;
        last_message = outcome ? "" : outcome.error().message();
        continue;
      }
      const char* state = next.kind == Next::Kind::kWait      ? "waiting"
                          : next.kind == Next::Kind::kBlocked ? "blocked"
                                                              : "ended";
      if (next.kind == Next::Kind::kBlocked && next.message != logged)
        LogWarning("schedule", "{} waits: {}", schedule.name, next.message);
      logged = next.message;
      Set(schedule.name, {"", state, next.interval, next.due, next.message});
      std::unique_lock lock(mutex);
      Sleep(lock, seen, next.due, cancellation);
    }
  }

  Result<void> RunOne(const Schedule& schedule, bool rerun, const Interval& interval,
                      const Cancellation& cancellation) {
    if (!rerun) {
      QUERN_TRY(run(schedule, interval, cancellation));
      return {};
    }
    if (!resume)
      return Fail(ErrorCode::kRerunPending, fmt::format("a rerun of '{}' has not been finished", schedule.name));
    return resume(schedule, cancellation);
  }

  bool AwaitTurn(const Cancellation& cancellation) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running < std::max(1, options.parallel) || cancellation.cancelled(); });
    if (cancellation.cancelled()) return false;
    ++running;
    return true;
  }
};

Scheduler::Scheduler(std::vector<Schedule> schedules, Options options, RunInterval run, Resume resume)
    : state_(std::make_unique<State>()) {
  QUERN_CHECK(options.store);
  if (!options.clock) options.clock = &Clock::System();
  state_->schedules = std::move(schedules);
  state_->options = options;
  state_->run = std::move(run);
  state_->resume = std::move(resume);
}

Scheduler::~Scheduler() = default;

void Scheduler::Loop(const Cancellation& cancellation) {
  State& state = *state_;
  const auto woken = cancellation.OnCancel([&state] {
    std::lock_guard lock(state.mutex);
    ++state.wakes;
    state.changed.notify_all();
  });
  std::vector<std::thread> threads;
  for (const Schedule& schedule : state.schedules) {
    threads.emplace_back([&state, &schedule, &cancellation] { state.Serve(schedule, cancellation); });
  }
  for (auto& thread : threads) thread.join();
}

void Scheduler::Wake() {
  std::lock_guard lock(state_->mutex);
  ++state_->wakes;
  state_->changed.notify_all();
}

std::vector<Scheduler::Status> Scheduler::status() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Status> out;
  for (const Schedule& schedule : state_->schedules) {
    const auto it = state_->status.find(schedule.name);
    out.push_back(it == state_->status.end() ? Status{schedule.name, "starting", {}, {}, ""} : it->second);
  }
  return out;
}

}  // namespace quern::schedule
