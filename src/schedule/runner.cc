#include "schedule/runner.h"

#include <cmath>
#include <condition_variable>
#include <deque>
#include <set>
#include <thread>

#include "base/text.h"
#include "schedule/task_log.h"

namespace quern::schedule {
namespace {

using graph::NodeIndex;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kNoDelay{0};

/// "30s", "5m", "1h", "200ms" or a number of seconds.
std::optional<std::chrono::milliseconds> ParseDelay(const Json& value) {
  if (value.is_number())
    return std::chrono::milliseconds(static_cast<int64_t>(std::max(0.0, value.get<double>()) * 1000));
  if (!value.is_string()) return std::nullopt;
  const auto text = value.get<std::string>();
  size_t used = 0;
  while (used < text.size() && (std::isdigit(static_cast<unsigned char>(text[used])) || text[used] == '.')) ++used;
  if (used == 0 || used > 12) return std::nullopt;
  const double number = std::strtod(text.substr(0, used).c_str(), nullptr);
  const std::map<std::string, double> units = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const auto unit = units.find(std::string(Trim(text.substr(used))));
  if (unit == units.end()) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(number * unit->second));
}

/// One attempt at a run: workers take ready nodes; the caller's thread records what they report.
class Execution {
 public:
  Execution(const Workload& work, const RunContext& run, const RunnerOptions& options, RunStore::Claim* claim)
      : graph_(*work.graph),
        edges_(work.graph->execution()),
        run_(run),
        options_(options),
        claim_(claim),
        nodes_(static_cast<size_t>(edges_.size())) {
    for (NodeIndex i = 0; i < edges_.size(); ++i) {
      at(i).waits_for = edges_.parents(i).size();
      const Node& node = graph_.node(i);
      if (!work.selected.at(static_cast<size_t>(i)) || !node.runs) continue;
      if (claim_ && claim_->done().contains(node.id)) {
        values_[node.id] = claim_->done().at(node.id);
        done_before_.push_back(node.id);
        continue;
      }
      at(i).task = true;
      at(i).try_number = claim_ ? claim_->NextTry(node.id) : 1;
      at(i).retry = RetryPolicyOf(node, options_.retry);
      ++total_;
    }
  }

  /// Nodes that will run, by provider.
  std::map<NodeProvider*, std::vector<const Node*>> ByProvider() const {
    std::map<NodeProvider*, std::vector<const Node*>> out;
    for (NodeIndex i = 0; i < edges_.size(); ++i) {
      if (at(i).task) out[graph_.provider(i)].push_back(&graph_.node(i));
    }
    return out;
  }

  Result<void> Go(const std::map<std::string, LastTime>& last_times) {
    QUERN_TRY(SetPriorities(last_times));
    if (options_.observer) options_.observer->RunBegins(run_, total_, static_cast<int>(done_before_.size()));
    {
      std::lock_guard lock(mutex_);
      for (NodeIndex i = 0; i < edges_.size(); ++i) {
        if (edges_.parents(i).empty()) Release(i);
      }
    }
    const auto stop = options_.cancellation.OnCancel([this] {
      cancel_running_.Cancel();
      std::lock_guard lock(mutex_);
      StopRest("cancelled", "not started: the run was stopped");
      changed_.notify_all();
    });
    int threads =
        options_.threads > 0 ? options_.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    threads = std::min(threads, std::max(total_, 1));
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back([this, i] { Work(i); });
    RecordUntilDone();
    for (auto& worker : workers) worker.join();
    if (store_error_) return Fail(*store_error_);
    return {};
  }

  std::vector<FinishedTask> TakeFinished() { return std::move(finished_); }
  std::vector<std::string> TakeDoneBefore() { return std::move(done_before_); }

 private:
  enum class Phase { kWaiting, kReady, kDelayed, kRunning, kEnded };
  struct NodeState {
    bool task = false;  ///< runs in this attempt; others are passed through
    Phase phase = Phase::kWaiting;
    size_t waits_for = 0;
    double priority = 0;
    int try_number = 1;
    int tries_failed = 0;
    RetryPolicy retry;
    std::optional<NodeIndex> blocked_by;
    Timestamp started;
  };
  struct Event {
    enum class Kind { kStart, kRetry, kEnd } kind = Kind::kStart;
    NodeIndex node = 0;
    int try_number = 0;
    Timestamp started;
    FinishedTask task;  ///< kRetry, kEnd
  };

  NodeState& at(NodeIndex i) { return nodes_[static_cast<size_t>(i)]; }
  const NodeState& at(NodeIndex i) const { return nodes_[static_cast<size_t>(i)]; }
  Timestamp Now() const { return run_.clock->Now(); }

  /// The longest way from each node to the end. Times count as powers of two of a second, so that noise does not
  /// reorder.
  Result<void> SetPriorities(const std::map<std::string, LastTime>& last_times) {
    const auto order = QUERN_TRY(edges_.TopologicalOrder());
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      double longest = 0;
      for (NodeIndex child : edges_.children(*it)) longest = std::max(longest, at(child).priority);
      double own = 0;
      if (at(*it).task) {
        const auto last = last_times.find(graph_.node(*it).id);
        const double seconds = last == last_times.end() ? 0 : last->second.seconds;
        own = seconds > 1 ? std::exp2(std::round(std::log2(seconds))) : 1;
      }
      at(*it).priority = longest + own;
    }
    return {};
  }

  // What follows up to Work() needs mutex_.

  /// All that a node waits for has ended.
  void Release(NodeIndex first) {
    std::vector<NodeIndex> stack = {first};
    while (!stack.empty()) {
      const NodeIndex i = stack.back();
      stack.pop_back();
      NodeState& node = at(i);
      if (node.task && node.phase != Phase::kEnded) {
        if (!node.blocked_by) {
          node.phase = Phase::kReady;
          ready_.insert({-node.priority, i});
          continue;
        }
        End(i, "skipped", NotRun(fmt::format("{} {}", graph_.node(*node.blocked_by).id, WhyBlocked(*node.blocked_by))));
      }
      EndChildren(i, stack);
    }
  }

  /// Tells the children of an ended node; those that wait for nothing more go to `free`.
  void EndChildren(NodeIndex i, std::vector<NodeIndex>& free) {
    for (NodeIndex child : edges_.children(i)) {
      if (at(i).blocked_by && !at(child).blocked_by) at(child).blocked_by = at(i).blocked_by;
      if (--at(child).waits_for == 0) free.push_back(child);
    }
  }

  std::string WhyBlocked(NodeIndex i) const {
    const auto it = end_state_.find(i);
    return it == end_state_.end() || it->second == "failed" ? "failed" : "was " + it->second;
  }

  static TaskResult NotRun(std::string why) {
    TaskResult result;
    result.message = std::move(why);
    return result;
  }

  void End(NodeIndex i, const std::string& state, TaskResult result, int thread = -1) {
    NodeState& node = at(i);
    const bool ran = node.phase == Phase::kRunning;
    node.phase = Phase::kEnded;
    end_state_[i] = state;
    ++ended_;
    Event event{Event::Kind::kEnd, i, ran || node.tries_failed ? node.try_number : 0, node.started, {}};
    event.task.node = &graph_.node(i);
    event.task.state = state;
    event.task.ended = Now();
    event.task.started = ran ? node.started : event.task.ended;
    event.task.thread = std::max(thread, 0);
    event.task.result = std::move(result);
    events_.push_back(std::move(event));
  }

  /// Ends every task that has not been started, once.
  void StopRest(const std::string& state, const std::string& why) {
    if (stopping_) return;
    stopping_ = true;
    ready_.clear();
    delayed_.clear();
    for (NodeIndex i = 0; i < edges_.size(); ++i) {
      const bool idle =
          at(i).phase == Phase::kWaiting || at(i).phase == Phase::kReady || at(i).phase == Phase::kDelayed;
      if (at(i).task && idle) End(i, state, NotRun(why));
    }
    reported_.notify_all();
  }

  void Work(int thread) {
    std::unique_lock lock(mutex_);
    while (true) {
      const auto now = Steady::now();
      while (!delayed_.empty() && delayed_.begin()->first <= now) {
        const NodeIndex due = delayed_.begin()->second;
        delayed_.erase(delayed_.begin());
        at(due).phase = Phase::kReady;
        ready_.insert({-at(due).priority, due});
      }
      if (ended_ == total_) {
        changed_.notify_all();
        reported_.notify_all();
        return;
      }
      if (ready_.empty()) {
        if (delayed_.empty()) {
          changed_.wait(lock);
        } else {
          // By value: another worker may take the entry out while this one waits.
          const auto until = delayed_.begin()->first;
          changed_.wait_until(lock, until);
        }
        continue;
      }
      const NodeIndex i = ready_.begin()->second;
      ready_.erase(ready_.begin());
      if (!ready_.empty()) changed_.notify_one();
      if (options_.slots && !AcquireSlot(lock, i)) continue;
      at(i).phase = Phase::kRunning;
      at(i).started = Now();
      const int try_number = at(i).try_number;
      events_.push_back({Event::Kind::kStart, i, try_number, at(i).started, {}});
      reported_.notify_one();
      lock.unlock();
      TaskResult result = RunTask(graph_.node(i), graph_.provider(i), try_number);
      if (options_.slots) options_.slots->Release();
      // Cancelling calls back into tasks, so never under the lock.
      const bool stops = result.status == TaskStatus::kFailed && options_.fail_fast && !MayRetry(i, result);
      if (stops) cancel_running_.Cancel();
      lock.lock();
      Settle(i, std::move(result), thread);
      if (stops) StopRest("skipped", fmt::format("stopped after {} failed (fail-fast)", graph_.node(i).id));
      changed_.notify_all();
      reported_.notify_one();
    }
  }

  /// Waits for a slot without the lock; false when the run was stopped meanwhile.
  bool AcquireSlot(std::unique_lock<std::mutex>& lock, NodeIndex i) {
    at(i).phase = Phase::kReady;
    lock.unlock();
    options_.slots->Acquire();
    lock.lock();
    if (at(i).phase == Phase::kReady) return true;
    options_.slots->Release();
    return false;
  }

  bool MayRetry(NodeIndex i, const TaskResult& result) const {
    const NodeState& node = at(i);
    return result.status == TaskStatus::kFailed && result.retryable && node.tries_failed < node.retry.retries &&
           !cancel_running_.cancelled();
  }

  void Settle(NodeIndex i, TaskResult result, int thread) {
    NodeState& node = at(i);
    if (MayRetry(i, result) && !stopping_) {
      Event event{Event::Kind::kRetry, i, node.try_number, node.started, {}};
      event.task = {&graph_.node(i), "up_for_retry", std::move(result), node.started, Now(), thread};
      events_.push_back(std::move(event));
      ++node.tries_failed;
      ++node.try_number;
      node.phase = Phase::kDelayed;
      delayed_.insert({Steady::now() + node.retry.delay, i});
      return;
    }
    std::string state;
    switch (result.status) {
      case TaskStatus::kSuccess:
        state = "success";
        break;
      case TaskStatus::kWarned:
        state = "warned";
        break;
      case TaskStatus::kNoOp:
        state = "no_op";
        break;
      case TaskStatus::kFailed: {
        const bool cancelled = result.error && result.error->code() == ErrorCode::kCancelled;
        state = cancelled && cancel_running_.cancelled() ? "cancelled" : "failed";
        node.blocked_by = i;
        break;
      }
    }
    if (!node.blocked_by) values_[graph_.node(i).id] = result.values;
    End(i, state, std::move(result), thread);
    std::vector<NodeIndex> free;
    EndChildren(i, free);
    for (NodeIndex child : free) Release(child);
  }

  // Without the lock.

  TaskResult RunTask(const Node& node, NodeProvider* provider, int try_number) {
    const auto failed = [](Error error, bool retryable) {
      TaskResult result;
      result.status = TaskStatus::kFailed;
      result.message = error.message();
      result.error = std::move(error);
      result.retryable = retryable;
      return result;
    };
    std::unique_ptr<TaskLog> log = std::make_unique<NullTaskLog>();
    if (!options_.log_root.empty()) {
      auto file = FileTaskLog::Open(TaskLogPath(options_.log_root, run_.schedule, run_.dag_run, node.id, try_number),
                                    *run_.clock);
      if (!file) return failed(std::move(file).error(), false);
      log = std::move(*file);
    }
    log->Line(fmt::format("{} for {}, try {}", node.id, run_.dag_run, try_number));
    const auto started = Steady::now();
    TaskContext context;
    context.run = &run_;
    context.node = &node;
    context.try_number = try_number;
    context.log = log.get();
    context.cancellation = cancel_running_;
    context.values = [this](const std::string& id) -> std::optional<Json> {
      std::lock_guard lock(mutex_);
      const auto it = values_.find(id);
      if (it == values_.end()) return std::nullopt;
      return it->second;
    };
    TaskResult result;
    // The last place where an exception can be turned into an answer: a task's bug must not take the other tasks along.
    try {
      auto task = provider->MakeTask(node, run_);
      result = task ? (*task)->Run(context) : failed(std::move(task).error(), false);
    } catch (const std::exception& error) {
      result =
          failed(Error(ErrorCode::kInternal, fmt::format("the task ended with an exception: {}", error.what())), false);
    }
    if (result.status == TaskStatus::kFailed && !result.error) {
      result.error = Error(ErrorCode::kTaskFailed, result.message.empty() ? "failed" : result.message);
    }
    if (result.error) log->Line(result.error->ToString());
    const double seconds = std::chrono::duration<double>(Steady::now() - started).count();
    const std::string_view outcome = result.status == TaskStatus::kFailed ? "failed" : "done";
    log->Line(fmt::format("{} in {}{}", outcome, FormatDuration(seconds),
                          result.message.empty() ? "" : ": " + result.message));
    return result;
  }

  /// The caller's thread: hands on what happened, in order, many changes in one transaction when they come fast.
  void RecordUntilDone() {
    std::unique_lock lock(mutex_);
    while (true) {
      reported_.wait(lock, [this] { return !events_.empty() || ended_ == total_; });
      if (events_.empty()) return;
      std::deque<Event> batch;
      batch.swap(events_);
      lock.unlock();
      Record(batch);
      for (Event& event : batch) Observe(event);
      lock.lock();
    }
  }

  void Record(const std::deque<Event>& batch) {
    if (!claim_ || store_error_) return;
    std::vector<TaskInstance> changes;
    for (const Event& event : batch) {
      TaskInstance change;
      change.node = graph_.node(event.node).id;
      change.try_number = event.try_number;
      change.state = "running";
      change.started = event.started;
      if (event.kind != Event::Kind::kStart) {
        const TaskResult& result = event.task.result;
        change.state = event.task.state;
        if (event.try_number == 0) change.started.reset();
        change.ended = event.task.ended;
        change.seconds = std::chrono::duration<double>(event.task.ended - event.task.started).count();
        change.rows = result.rows;
        change.rows_discarded = result.rows_discarded;
        change.message = result.message;
        if (result.error) change.error = result.error->ToJson();
        change.values = result.values;
        change.details = result.details;
      }
      changes.push_back(std::move(change));
    }
    auto recorded = claim_->Record(changes);
    if (recorded) return;
    store_error_ = std::move(recorded).error().Context("recording what the tasks did");
    cancel_running_.Cancel();
    std::lock_guard lock(mutex_);
    StopRest("cancelled", "not started: the metadata database failed");
    changed_.notify_all();
  }

  void Observe(Event& event) {
    RunObserver* observer = options_.observer;
    if (event.kind == Event::Kind::kEnd) finished_.push_back(std::move(event.task));
    if (!observer) return;
    const Node& node = graph_.node(event.node);
    switch (event.kind) {
      case Event::Kind::kStart:
        observer->TaskStarts(node, event.try_number);
        break;
      case Event::Kind::kRetry:
        observer->TaskRetries(node, event.try_number, event.task.result);
        break;
      case Event::Kind::kEnd:
        observer->TaskEnds(finished_.back(), static_cast<int>(finished_.size()), total_);
        break;
    }
  }

  const NodeGraph& graph_;
  const graph::Graph& edges_;
  const RunContext& run_;
  const RunnerOptions& options_;
  RunStore::Claim* claim_;
  Cancellation cancel_running_;

  std::mutex mutex_;
  std::condition_variable changed_;   // for workers
  std::condition_variable reported_;  // for the caller's thread
  std::vector<NodeState> nodes_;
  std::set<std::pair<double, NodeIndex>> ready_;
  std::multimap<Steady::time_point, NodeIndex> delayed_;
  std::deque<Event> events_;
  std::map<NodeIndex, std::string> end_state_;
  std::map<std::string, Json> values_;
  int total_ = 0;
  int ended_ = 0;
  bool stopping_ = false;

  // Of the caller's thread.
  std::vector<FinishedTask> finished_;
  std::vector<std::string> done_before_;
  std::optional<Error> store_error_;
};

std::string StateOf(const std::map<std::string, int>& counts, const RunnerOptions& options) {
  if (options.cancellation.cancelled() && counts.contains("cancelled")) return "cancelled";
  if (counts.contains("failed") || counts.contains("skipped") || counts.contains("cancelled")) return "failed";
  return "success";
}

std::string SummaryOf(const std::map<std::string, int>& counts) {
  std::vector<std::string> parts;
  for (const auto& [state, count] : counts) parts.push_back(fmt::format("{} {}", count, state));
  return Join(parts, ", ");
}

}  // namespace

RetryPolicy RetryPolicyOf(const Node& node, const RetryPolicy& otherwise) {
  RetryPolicy out = otherwise;
  if (!node.config.is_object()) return out;
  if (const auto retries = node.config.find("retries"); retries != node.config.end() && retries->is_number_integer()) {
    out.retries = static_cast<int>(std::clamp<int64_t>(retries->get<int64_t>(), 0, 1000));
  }
  if (const auto delay = node.config.find("retry_delay"); delay != node.config.end()) {
    out.delay = ParseDelay(*delay).value_or(out.delay);
  }
  out.delay = std::max(out.delay, kNoDelay);
  return out;
}

Result<RunReport> Run(const Workload& work, const RunContext& context, const RunnerOptions& options) {
  QUERN_CHECK(work.graph && work.selected.size() == static_cast<size_t>(work.graph->size()));
  RunContext run = context;
  if (!run.clock) run.clock = &Clock::System();

  RunReport report;
  report.dag_run = run.dag_run;
  report.started = run.clock->Now();
  std::unique_ptr<RunStore::Claim> claim;
  std::map<std::string, LastTime> last_times;
  if (options.store) {
    RunStore::Begin begin{.run = &run,
                          .nodes = {},
                          .select = work.select,
                          .exclude = work.exclude,
                          .discard_done = work.redo,
                          .exclusive = work.exclusive};
    for (NodeIndex i = 0; i < work.graph->size(); ++i) {
      if (work.selected[static_cast<size_t>(i)] && work.graph->node(i).runs)
        begin.nodes.push_back(&work.graph->node(i));
    }
    last_times = QUERN_TRY(options.store->LastTimes());
    claim = QUERN_TRY(options.store->Take(begin));
    if (claim->nothing_to_do()) {
      report.state = "success";
      report.already_done = true;
      for (const Node* node : begin.nodes) report.done_before.push_back(node->id);
      report.ended = run.clock->Now();
      return report;
    }
  }

  Execution execution(work, run, options, claim.get());
  std::vector<NodeProvider*> begun;
  Result<void> gone;
  for (const auto& [provider, nodes] : execution.ByProvider()) {
    gone = provider->BeginRun(run, nodes);
    if (!gone) break;
    begun.push_back(provider);
  }
  if (gone) gone = execution.Go(last_times);
  report.tasks = execution.TakeFinished();
  report.done_before = execution.TakeDoneBefore();
  for (const auto& task : report.tasks) ++report.counts[task.state];
  report.state = gone ? StateOf(report.counts, options) : "failed";
  for (NodeProvider* provider : begun) {
    std::vector<FinishedTask> own;
    for (const auto& task : report.tasks) {
      if (work.graph->provider(*work.graph->Find(task.node->id)) == provider) own.push_back(task);
    }
    auto ended = provider->EndRun(run, own);
    if (ended || report.error) continue;
    report.error = std::move(ended).error();
    report.state = report.state == "success" ? "failed" : report.state;
  }
  report.ended = run.clock->Now();
  if (claim) {
    std::string state = report.state == "cancelled" && options.requeue_when_cancelled ? "queued" : report.state;
    std::string message = gone ? SummaryOf(report.counts) : gone.error().message();
    if (report.error) message = report.error->message();
    auto finished = claim->Finish(state, message);
    if (gone && !finished) return Fail(std::move(finished).error());
  }
  if (!gone) return Fail(std::move(gone).error());
  return report;
}

}  // namespace quern::schedule
