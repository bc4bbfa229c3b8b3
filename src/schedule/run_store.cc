#include "schedule/run_store.h"

#include <condition_variable>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "schedule/run_tables.h"

namespace quern::schedule {
namespace {

using state::Connection;
using state::Nullable;
using state::Param;
using state::Row;

constexpr std::chrono::seconds kHeartbeat{10};
constexpr std::chrono::seconds kLease{60};

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}
Json Load(const std::string& text, Json otherwise) {
  if (text.empty()) return otherwise;
  auto json = ParseJson(text, "metadata database");
  return json ? *json : otherwise;
}
Param Micros(const std::optional<Timestamp>& t) {
  return t ? Param(MicrosSinceEpoch(*t)) : Param();
}
std::optional<Timestamp> TimeAt(const Row& row, size_t column) {
  if (row.IsNull(column)) return std::nullopt;
  return FromMicros(row.Int(column));
}
bool IsDone(const std::string& state) {
  return state == "success" || state == "warned" || state == "no_op";
}

constexpr std::string_view kRunColumns =
    "id, dag_id, run_id, logical_date, interval_start, interval_end, state, selection, vars, git_commit, "
    "invocation_id, "
    "full_refresh, rerun, attempt, message, started, ended, host, boot, pid, process_start, heartbeat";

/// A run as it stands in the row; `heartbeat` beside it.
DagRun RunOf(const Row& row, const std::string& target) {
  DagRun run;
  run.key = row.Int(0);
  run.dag = row.Text(1);
  run.id = row.Text(2);
  run.logical_date = FromMicros(row.Int(3));
  run.interval = {FromMicros(row.Int(4)), FromMicros(row.Int(5))};
  run.state = row.Text(6);
  const Json selection = Load(row.Text(7), Json::object());
  run.select = selection.value("select", std::vector<std::string>());
  run.exclude = selection.value("exclude", std::vector<std::string>());
  run.target = target;
  run.vars = Load(row.Text(8), Json::object());
  run.git_commit = row.Text(9);
  run.invocation_id = row.Text(10);
  run.full_refresh = row.Int(11) != 0;
  run.rerun = row.Int(12) != 0;
  run.attempt = static_cast<int>(row.Int(13));
  run.message = row.Text(14);
  run.started = TimeAt(row, 15);
  run.ended = TimeAt(row, 16);
  run.owner = {row.Text(17), row.Text(18), row.Int(19), row.Int(20)};
  return run;
}
Timestamp HeartbeatOf(const Row& row) {
  return FromMicros(row.Int(21));
}

/// Runs that this process is at, so that one whose claim was dropped after an error does not look alive.
class OwnClaims {
 public:
  static OwnClaims& Instance() {
    static OwnClaims claims;
    return claims;
  }
  void Add(const std::string& location, int64_t key) {
    std::lock_guard lock(mutex_);
    held_.insert({location, key});
  }
  void Remove(const std::string& location, int64_t key) {
    std::lock_guard lock(mutex_);
    held_.erase({location, key});
  }
  bool Holds(const std::string& location, int64_t key) {
    std::lock_guard lock(mutex_);
    return held_.contains({location, key});
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<std::string, int64_t>> held_;
};

bool OwnerAlive(const std::string& location, const DagRun& run, Timestamp heartbeat, Timestamp now) {
  const auto alive = run.owner.Alive();
  if (!alive) return now - heartbeat < kLease;
  const ProcessIdentity self = ProcessIdentity::Self();
  const bool ours = run.owner.pid == self.pid && run.owner.boot == self.boot && run.owner.started == self.started;
  return *alive && (!ours || OwnClaims::Instance().Holds(location, run.key));
}

class SqlRunStore : public RunStore {
 public:
  SqlRunStore(state::Database* database, std::string target, const Clock* clock)
      : database_(*database), target_(std::move(target)), clock_(clock ? *clock : Clock::System()) {}

  Result<std::unique_ptr<Claim>> Take(const Begin& begin) override;

  Result<Rerun> BeginRerun(const std::string& dag, Timestamp from, Timestamp to) override {
    Rerun rerun{from, to, false};
    QUERN_TRY(database_.Write([&](Connection& db) -> Result<void> {
      QUERN_TRY(RefuseWhenRunning(db, dag, ""));
      const auto pending = QUERN_TRY(ReadRerun(db, dag));
      if (pending) rerun.from = std::min(rerun.from, pending->from);
      if (pending) rerun.until = std::max(rerun.until, pending->until);
      const auto last = QUERN_TRY(
          db.Query("SELECT max(logical_date) FROM dag_run WHERE target = :p1 AND dag_id = :p2 AND state = 'success'",
                   {target_, dag}));
      if (const auto date = TimeAt(last.at(0), 0)) rerun.until = std::max(rerun.until, *date);
      QUERN_TRY(db.Execute("DELETE FROM dag_rerun WHERE target = :p1 AND dag_id = :p2", {target_, dag}));
      QUERN_TRY(db.Execute(
          "INSERT INTO dag_rerun (target, dag_id, from_date, until_date, prepared) VALUES (:p1, :p2, :p3, :p4, 0)",
          {target_, dag, MicrosSinceEpoch(rerun.from), MicrosSinceEpoch(rerun.until)}));
      return {};
    }));
    return rerun;
  }

  Result<std::optional<Rerun>> PendingRerun(const std::string& dag) override {
    std::optional<Rerun> out;
    QUERN_TRY(database_.Read([&](Connection& db) -> Result<void> {
      out = QUERN_TRY(ReadRerun(db, dag));
      return {};
    }));
    return out;
  }
  Result<void> SetRerunPrepared(const std::string& dag) override {
    return database_.Write([&](Connection& db) -> Result<void> {
      const auto rerun = QUERN_TRY(ReadRerun(db, dag));
      if (!rerun) return {};
      const std::vector<Param> which = {target_, dag, MicrosSinceEpoch(rerun->from)};
      QUERN_TRY(
          db.Execute("UPDATE task_instance SET state = 'queued' WHERE run_key IN (SELECT id FROM dag_run WHERE "
                     "target = :p1 AND dag_id = :p2 AND logical_date >= :p3)",
                     which));
      QUERN_TRY(
          db.Execute("UPDATE dag_run SET state = 'queued', rerun = 1, ended = NULL WHERE target = :p1 AND dag_id = :p2 "
                     "AND logical_date >= :p3",
                     which));
      QUERN_TRY(db.Execute("UPDATE dag_rerun SET prepared = 1 WHERE target = :p1 AND dag_id = :p2", {target_, dag}));
      return {};
    });
  }
  Result<void> EndRerun(const std::string& dag) override {
    return Change("DELETE FROM dag_rerun WHERE target = :p1 AND dag_id = :p2", {target_, dag});
  }

  Result<std::vector<DagRun>> Runs(const Filter& filter) override {
    std::string sql = fmt::format("SELECT {} FROM dag_run WHERE target = :p1", kRunColumns);
    std::vector<Param> params = {target_};
    const auto add = [&](std::string_view condition, Param value) {
      params.push_back(std::move(value));
      sql += fmt::format(" AND {} :p{}", condition, params.size());
    };
    if (!filter.dag.empty()) add("dag_id =", filter.dag);
    if (filter.from) add("logical_date >=", MicrosSinceEpoch(*filter.from));
    if (filter.to) add("logical_date <=", MicrosSinceEpoch(*filter.to));
    const std::string_view direction = filter.newest_first ? "DESC" : "ASC";
    // Newest by what happened last; oldest by logical date, the order in which intervals run.
    sql += filter.newest_first ? fmt::format(" ORDER BY coalesce(started, 0) DESC, logical_date {0}, id {0}", direction)
                               : fmt::format(" ORDER BY logical_date {0}, id {0}", direction);
    const auto rows = QUERN_TRY(database_.Query(sql, params));
    std::vector<DagRun> out;
    for (const Row& row : rows) {
      DagRun run = Present(row);
      if (!filter.states.empty() &&
          std::find(filter.states.begin(), filter.states.end(), run.state) == filter.states.end())
        continue;
      out.push_back(std::move(run));
      if (filter.limit >= 0 && static_cast<int64_t>(out.size()) == filter.limit) break;
    }
    return out;
  }

  Result<DagRun> FindRun(const std::string& id) override {
    const auto rows = QUERN_TRY(database_.Query(
        fmt::format("SELECT {} FROM dag_run WHERE target = :p1 AND run_id = :p2", kRunColumns), {target_, id}));
    if (!rows.empty()) return Present(rows.front());
    auto all = QUERN_TRY(Runs({}));
    if (id == "latest" && !all.empty()) return all.front();
    std::vector<std::string> names;
    std::vector<const DagRun*> same_end;
    for (const auto& run : all) {
      names.push_back(run.id);
      if (run.id.ends_with("/" + id)) same_end.push_back(&run);
    }
    if (same_end.size() == 1) return *same_end.front();
    std::string hint = DidYouMean(id, names);
    if (same_end.size() > 1) hint = fmt::format("there are {} and {}", same_end[0]->id, same_end[1]->id);
    if (hint.empty()) hint = all.empty() ? "nothing has been run yet" : "`quern runs` lists them";
    return Fail(Error(ErrorCode::kRunNotFound, fmt::format("there is no run '{}'", id)).Hint(hint));
  }

  Result<std::vector<TaskInstance>> Tasks(int64_t run_key) override {
    const auto rows = QUERN_TRY(database_.Query(
        "SELECT node, kind, state, try_number, started, ended, seconds, rows_written, rows_discarded, message, error, "
        "result_values, "
        "details FROM task_instance WHERE run_key = :p1 ORDER BY coalesce(started, 9223372036854775807), node",
        {run_key}));
    std::vector<TaskInstance> out;
    for (const Row& row : rows) {
      TaskInstance task;
      task.node = row.Text(0);
      task.kind = row.Text(1);
      task.state = row.Text(2);
      task.try_number = static_cast<int>(row.Int(3));
      task.started = TimeAt(row, 4);
      task.ended = TimeAt(row, 5);
      task.seconds = row.Float(6);
      task.rows = row.OptionalInt(7);
      task.rows_discarded = row.OptionalInt(8);
      task.message = row.Text(9);
      if (!row.IsNull(10)) task.error = Load(row.Text(10), Json::object());
      task.values = Load(row.Text(11), Json::object());
      task.details = Load(row.Text(12), Json::object());
      out.push_back(std::move(task));
    }
    return out;
  }

  Result<std::vector<TaskTry>> Tries(int64_t run_key) override {
    const auto rows =
        QUERN_TRY(database_.Query("SELECT node, try_number, state, started, ended, message, error FROM task_try "
                                  "WHERE run_key = :p1 ORDER BY node, try_number",
                                  {run_key}));
    std::vector<TaskTry> out;
    for (const Row& row : rows) {
      TaskTry item{row.Text(0), static_cast<int>(row.Int(1)), row.Text(2), TimeAt(row, 3), TimeAt(row, 4), row.Text(5),
                   {}};
      if (!row.IsNull(6)) item.error = Load(row.Text(6), Json::object());
      out.push_back(std::move(item));
    }
    return out;
  }

  Result<std::map<std::string, LastTime>> LastTimes() override {
    const auto rows = QUERN_TRY(database_.Query(
        "SELECT t.node, r.run_id, t.state, t.ended, t.seconds, t.rows_written FROM task_instance t "
        "JOIN dag_run r ON r.id = t.run_key "
        "JOIN (SELECT i.node AS node, max(i.ended) AS ended FROM task_instance i JOIN dag_run d ON d.id = i.run_key "
        "      WHERE d.target = :p1 AND i.state IN ('success', 'warned') GROUP BY i.node) last "
        "ON last.node = t.node AND last.ended = t.ended WHERE r.target = :p1 AND t.state IN ('success', 'warned')",
        {target_}));
    std::map<std::string, LastTime> out;
    for (const Row& row : rows) {
      out[row.Text(0)] = {row.Text(1), row.Text(2), FromMicros(row.Int(3)), row.Float(4), row.OptionalInt(5)};
    }
    return out;
  }

  Result<Totals> Metrics() override {
    Totals out;
    QUERN_TRY(database_.Read([&](Connection& db) -> Result<void> {
      const auto runs = QUERN_TRY(
          db.Query("SELECT dag_id, state, count(*) FROM dag_run WHERE target = :p1 GROUP BY dag_id, state", {target_}));
      for (const Row& row : runs) out.runs[{row.Text(0), row.Text(1)}] = row.Int(2);
      const auto tasks = QUERN_TRY(
          db.Query("SELECT t.kind, t.state, count(*), sum(t.seconds), sum(t.rows_written), sum(t.rows_discarded) "
                   "FROM task_instance t JOIN dag_run r ON r.id = t.run_key WHERE r.target = :p1 "
                   "GROUP BY t.kind, t.state",
                   {target_}));
      for (const Row& row : tasks) {
        out.tasks[{row.Text(0), row.Text(1)}] = row.Int(2);
        out.task_seconds[row.Text(0)] += row.Float(3);
        out.rows[row.Text(0)] += row.Int(4);
        out.rows_discarded[row.Text(0)] += row.Int(5);
      }
      return {};
    }));
    return out;
  }

  state::Database& database() { return database_; }
  Timestamp Now() const { return clock_.Now(); }

 private:
  /// Fails when a live process runs the DAG; only the run `id` is looked at when it is given.
  Result<void> RefuseWhenRunning(Connection& db, const std::string& dag, const std::string& id) {
    const auto rows = QUERN_TRY(db.Query(
        fmt::format("SELECT {} FROM dag_run WHERE target = :p1 AND dag_id = :p2 AND state = 'running'", kRunColumns),
        {target_, dag}));
    for (const Row& row : rows) {
      const DagRun run = RunOf(row, target_);
      if (!id.empty() && run.id != id) continue;
      if (!OwnerAlive(database_.location(), run, HeartbeatOf(row), clock_.Now())) continue;
      return Fail(Error(ErrorCode::kIntervalRunning,
                        fmt::format("{} is being run by process {} on {}", run.id, run.owner.pid, run.owner.host))
                      .With("dag_run", run.id)
                      .With("host", run.owner.host)
                      .With("pid", std::to_string(run.owner.pid))
                      .Hint("wait for it to end, or stop that process"));
    }
    return {};
  }

  Result<std::optional<Rerun>> ReadRerun(Connection& db, const std::string& dag) {
    const auto rows = QUERN_TRY(db.Query(
        "SELECT from_date, until_date, prepared FROM dag_rerun WHERE target = :p1 AND dag_id = :p2", {target_, dag}));
    if (rows.empty()) return std::nullopt;
    return Rerun{FromMicros(rows[0].Int(0)), FromMicros(rows[0].Int(1)), rows[0].Int(2) != 0};
  }

  Result<void> Change(std::string_view sql, const std::vector<Param>& params) {
    return database_.Write([&](Connection& db) -> Result<void> {
      QUERN_TRY(db.Execute(sql, params));
      return {};
    });
  }

  DagRun Present(const Row& row) const {
    DagRun run = RunOf(row, target_);
    if (run.state == "running" && !OwnerAlive(database_.location(), run, HeartbeatOf(row), clock_.Now()))
      run.state = "interrupted";
    return run;
  }

  state::Database& database_;
  std::string target_;
  const Clock& clock_;
};

class SqlClaim : public RunStore::Claim {
 public:
  explicit SqlClaim(SqlRunStore& store) : store_(store) {}
  ~SqlClaim() override {
    StopHeart();
    if (!nothing_to_do_) OwnClaims::Instance().Remove(store_.database().location(), key_);
  }

  int64_t run_key() const override { return key_; }
  bool nothing_to_do() const override { return nothing_to_do_; }
  const std::map<std::string, Json>& done() const override { return done_; }
  int NextTry(const std::string& node) const override {
    const auto it = tries_.find(node);
    return it == tries_.end() ? 1 : it->second + 1;
  }

  Result<void> Record(const std::vector<TaskInstance>& changes) override {
    return store_.database().Write([&](Connection& db) -> Result<void> {
      for (const auto& change : changes) QUERN_TRY(RecordOne(db, change));
      return {};
    });
  }

  Result<void> Finish(const std::string& state, const std::string& message) override {
    StopHeart();
    return store_.database().Write([&](Connection& db) -> Result<void> {
      std::string final_state = state;
      std::string final_message = message;
      if (state == "success") {
        const auto open = QUERN_TRY(db.Query(
            "SELECT count(*) FROM task_instance WHERE run_key = :p1 AND state NOT IN ('success', 'warned', 'no_op')",
            {key_}));
        if (const int64_t count = open.at(0).Int(0)) {
          final_state = "failed";
          final_message = fmt::format("{} tasks of an earlier attempt with another selection are not done", count);
        }
      }
      QUERN_TRY(db.Execute("UPDATE dag_run SET state = :p1, message = :p2, ended = :p3 WHERE id = :p4",
                           {final_state, final_message, MicrosSinceEpoch(store_.Now()), key_}));
      return {};
    });
  }

  void Hold() {
    OwnClaims::Instance().Add(store_.database().location(), key_);
    heart_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (!stopped_.wait_for(lock, kHeartbeat, [this] { return stop_; })) {
        lock.unlock();
        auto beat = store_.database().Write([&](Connection& db) -> Result<void> {
          QUERN_TRY(
              db.Execute("UPDATE dag_run SET heartbeat = :p1 WHERE id = :p2", {MicrosSinceEpoch(store_.Now()), key_}));
          return {};
        });
        if (!beat) LogWarning("schedule", "heartbeat of run {}: {}", key_, beat.error().message());
        lock.lock();
      }
    });
  }

  int64_t key_ = 0;
  bool nothing_to_do_ = false;
  std::map<std::string, Json> done_;
  std::map<std::string, int> tries_;

 private:
  Result<void> RecordOne(Connection& db, const TaskInstance& task) {
    const Param error = task.error ? Param(Dump(*task.error)) : Param();
    const bool begins = task.state == "running";
    QUERN_TRY(db.Execute(
        "UPDATE task_instance SET state = :p1, try_number = :p2, started = coalesce(:p3, started), ended = :p4, "
        "seconds = :p5, "
        "rows_written = :p6, rows_discarded = :p7, message = :p8, error = :p9, result_values = :p10, details = :p11 "
        "WHERE run_key = :p12 AND node = :p13",
        {task.state, int64_t{task.try_number}, Micros(task.started), Micros(task.ended), task.seconds,
         Nullable(task.rows), Nullable(task.rows_discarded), task.message, error, Dump(task.values), Dump(task.details),
         key_, task.node}));
    if (begins) {
      QUERN_TRY(
          db.Execute("INSERT INTO task_try (run_key, node, try_number, state, started, message) VALUES (:p1, :p2, :p3, "
                     "'running', :p4, '')",
                     {key_, task.node, int64_t{task.try_number}, Micros(task.started)}));
    } else if (task.try_number > 0) {
      const std::string state = task.state == "up_for_retry" ? "failed" : task.state;
      QUERN_TRY(db.Execute(
          "UPDATE task_try SET state = :p1, ended = :p2, message = :p3, error = :p4 WHERE run_key = :p5 AND node = :p6 "
          "AND try_number = :p7 AND state = 'running'",
          {state, Micros(task.ended), task.message, error, key_, task.node, int64_t{task.try_number}}));
    }
    return {};
  }

  void StopHeart() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    stopped_.notify_all();
    if (heart_.joinable()) heart_.join();
  }

  SqlRunStore& store_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread heart_;
};

Result<std::unique_ptr<RunStore::Claim>> SqlRunStore::Take(const Begin& begin) {
  const RunContext& run = *begin.run;
  auto claim = std::make_unique<SqlClaim>(*this);
  QUERN_TRY(database_.Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(RefuseWhenRunning(db, run.schedule, begin.exclusive ? "" : run.dag_run));
    if (const auto pending = QUERN_TRY(ReadRerun(db, run.schedule)); pending && !run.rerun) {
      return Fail(
          Error(ErrorCode::kRerunPending,
                fmt::format("a rerun of '{}' from {} on has not been finished", run.schedule, FormatUtc(pending->from)))
              .Hint(fmt::format("`quern backfill {}` with any of its intervals goes on with it first", run.schedule)));
    }
    const std::string selection = Dump({{"select", begin.select}, {"exclude", begin.exclude}});
    const auto rows =
        QUERN_TRY(db.Query(fmt::format("SELECT {} FROM dag_run WHERE target = :p1 AND run_id = :p2", kRunColumns),
                           {target_, run.dag_run}));
    std::set<std::string> wanted;
    for (const Node* node : begin.nodes) wanted.insert(node->id);
    std::map<std::string, std::string> states;
    std::string was;
    if (!rows.empty()) {
      claim->key_ = rows[0].Int(0);
      was = rows[0].Text(6);
      const auto tasks = QUERN_TRY(
          db.Query("SELECT node, state, result_values FROM task_instance WHERE run_key = :p1", {claim->key_}));
      for (const Row& row : tasks) {
        states[row.Text(0)] = row.Text(1);
        if (IsDone(row.Text(1)) && !begin.discard_done) claim->done_[row.Text(0)] = Load(row.Text(2), Json::object());
      }
      const auto tries = QUERN_TRY(
          db.Query("SELECT node, max(try_number) FROM task_try WHERE run_key = :p1 GROUP BY node", {claim->key_}));
      for (const Row& row : tries) claim->tries_[row.Text(0)] = static_cast<int>(row.Int(1));
      const bool all_done =
          std::all_of(wanted.begin(), wanted.end(), [&](const std::string& id) { return claim->done_.contains(id); });
      if (was == "success" && all_done) {
        claim->nothing_to_do_ = true;
        return {};
      }
    } else {
      const auto last = QUERN_TRY(db.Query("SELECT coalesce(max(id), 0) FROM dag_run"));
      claim->key_ = last.at(0).Int(0) + 1;
      QUERN_TRY(
          db.Execute("INSERT INTO dag_run (id, target, dag_id, run_id, logical_date, interval_start, interval_end, "
                     "state, selection, vars, "
                     "git_commit, invocation_id, full_refresh, rerun, attempt, message, host, boot, pid, "
                     "process_start, heartbeat) VALUES "
                     "(:p1, :p2, :p3, :p4, :p5, :p6, :p7, 'queued', :p8, '{}', '', '', 0, 0, 0, '', '', '', 0, 0, 0)",
                     {claim->key_, target_, run.schedule, run.dag_run, MicrosSinceEpoch(run.logical_date),
                      MicrosSinceEpoch(run.interval.start), MicrosSinceEpoch(run.interval.end), selection}));
    }
    const ProcessIdentity self = ProcessIdentity::Self();
    const int64_t now = MicrosSinceEpoch(clock_.Now());
    QUERN_TRY(db.Execute(
        "UPDATE dag_run SET state = 'running', vars = :p1, git_commit = :p2, invocation_id = :p3, full_refresh = :p4, "
        "rerun = :p5, "
        "attempt = attempt + 1, message = '', started = :p6, ended = NULL, host = :p7, boot = :p8, pid = :p9, "
        "process_start = :p10, heartbeat = :p6 WHERE id = :p11",
        {Dump(run.vars), run.git_commit, run.invocation_id, int64_t{run.full_refresh}, int64_t{run.rerun}, now,
         self.host, self.boot, self.pid, self.started, claim->key_}));
    // What an unfinished run was asked to do stays recorded when a part of it is run; a finished one is asked anew.
    const std::string recorded = rows.empty() ? selection : rows[0].Text(7);
    if (was == "success")
      QUERN_TRY(db.Execute("UPDATE dag_run SET selection = :p1 WHERE id = :p2", {selection, claim->key_}));
    QUERN_TRY(
        db.Execute("UPDATE task_try SET state = 'interrupted', ended = :p1 WHERE run_key = :p2 AND state = 'running'",
                   {now, claim->key_}));
    QUERN_TRY(db.Execute(
        "UPDATE task_instance SET state = 'interrupted' WHERE run_key = :p1 AND state IN ('running', 'up_for_retry')",
        {claim->key_}));
    for (const Node* node : begin.nodes) {
      if (claim->done_.contains(node->id)) continue;
      if (states.contains(node->id)) {
        QUERN_TRY(db.Execute(
            "UPDATE task_instance SET state = 'queued', message = '', error = NULL WHERE run_key = :p1 AND node = :p2",
            {claim->key_, node->id}));
      } else {
        QUERN_TRY(
            db.Execute("INSERT INTO task_instance (run_key, node, kind, state, try_number, seconds, message, "
                       "result_values, details) VALUES "
                       "(:p1, :p2, :p3, 'queued', 0, 0, '', '{}', '{}')",
                       {claim->key_, node->id, node->kind}));
      }
    }
    // Nodes that have left the project, or the selection: they would keep the run from ever being done.
    for (const auto& [id, state] : states) {
      if (wanted.contains(id) || IsDone(state) || selection != recorded) continue;
      QUERN_TRY(db.Execute("DELETE FROM task_instance WHERE run_key = :p1 AND node = :p2", {claim->key_, id}));
    }
    return {};
  }));
  if (!claim->nothing_to_do()) claim->Hold();
  return claim;
}

}  // namespace

Result<std::unique_ptr<RunStore>> RunStore::Open(state::Database* database, const std::string& target,
                                                 const Clock* clock, bool read_only) {
  if (!read_only) QUERN_TRY(database->Migrate("schedule", RunTables()));
  return std::make_unique<SqlRunStore>(database, target, clock);
}

}  // namespace quern::schedule
