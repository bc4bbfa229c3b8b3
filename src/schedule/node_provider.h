#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

// What a kind of node (ingest, dbt, script, ...) offers to the one graph. Interfaces only: the parts of the row above
// implement NodeProvider, project/ joins what they offer, the runner here executes tasks.
namespace quern::schedule {

/// A warehouse table as a node names it; compared without case.
struct TableRef {
  std::string schema;
  std::string table;
  std::string Key() const;  ///< "schema.table" in lower case
};

enum class ReadMode {
  kCurrent,    ///< makes an edge from whatever writes the table
  kBeforeRun,  ///< the table as it stood before this interval's run: no edge
};

struct Read {
  TableRef table;
  ReadMode mode = ReadMode::kCurrent;
  SourcePos pos{};  ///< where the user's file names the table, when it does
};

/// A node of the graph, as its provider describes it.
struct Node {
  std::string id;  ///< unique: "ingest.outcomes", "model.flights.stg_flights", "script.score"
  std::string
      kind;  ///< resource type for selection and display: ingest, model, seed, snapshot, test, script, source, ...
  std::string name;                       ///< short name, what `--select name` matches
  std::string package;                    ///< dbt package or the project's name
  std::vector<std::string> fqn;           ///< dbt's fully qualified name, for selection by folder
  std::filesystem::path path;             ///< of the defining file, relative to the project
  std::filesystem::path local_path;       ///< relative to the provider's own root (the dbt project), when that differs
  std::vector<std::string> described_in;  ///< files with its properties, as `path:` may name them
  SourcePos pos;
  std::vector<std::string> tags;
  std::string materialized;  ///< dbt's materialization, or the load mode; may be empty
  std::string description;
  /// For `config.x:y` selection and display. The runner reads `retries` and `retry_delay` (seconds, or "30s", "5m").
  Json config = Json::object();
  std::vector<Read> reads;
  std::vector<TableRef> writes;
  /// Those of `writes` that a rerun leaves as they are: only ever added to, and what was added stays what others name
  /// (training sets of models).
  std::vector<TableRef> keeps;
  std::vector<std::string> depends_on;  ///< ids, beyond what reads and writes say
  SourcePos depends_on_pos{};           ///< where the user's file says so, when it does
  bool gate = false;                    ///< a test: what lies downstream of all that it tests waits for it
  bool runs = true;                     ///< false for what only stands in the graph (a source, an exposure)
  std::string test_of;                  ///< for `test_name:` selection; the generic test's name
};

/// What one run is about; the same for all its tasks.
struct RunContext {
  std::string schedule;  ///< "monthly"; "manual" outside schedules
  std::string dag_run;   ///< "monthly/2013-05-01"
  Timestamp logical_date;
  Interval interval;
  std::optional<Interval> next;  ///< the interval that begins at this one's end; nothing outside schedules
  TimeZone zone = TimeZone::Utc();
  bool full_refresh = false;
  bool rerun = false;          ///< for display: the tables have been restored before (see EffectAppId)
  Json vars = Json::object();  ///< --vars
  std::string target;
  std::string git_commit;
  std::string invocation_id;  ///< UUID of this process's call
  const Clock* clock = nullptr;
};

/// The key under which an effect of a node in an interval is recorded in a table's Delta `txn` action.
/// appId "quern/<schedule>/<node>", version = logical date in milliseconds.
/// A task asks for it before it works, in a rerun too: --rerun has restored the tables to before the first rerun
/// interval, txn records included, so that what was undone answers as never done, and what a killed rerun did already
/// is found. Only full_refresh works without asking.
std::string EffectAppId(const RunContext& run, const std::string& node);
int64_t EffectVersion(const RunContext& run);
/// A table's record says a later interval (`recorded`, as of EffectVersion), and its history knows nothing of this one:
/// to pass it over would lose its rows, to do it now would put them after those that build on them (kInvalidArgument).
Error OutOfOrder(const RunContext& run, const std::string& table, int64_t recorded);

/// Where a task's log lines go (file of the try, and live readers). Thread-safe; masks secrets.
class TaskLog {
 public:
  virtual ~TaskLog() = default;
  virtual void Line(std::string_view text) = 0;
};

struct TaskContext {
  const RunContext* run = nullptr;
  const Node* node = nullptr;
  int try_number = 1;
  TaskLog* log = nullptr;
  Cancellation cancellation;
  /// Values that earlier tasks of this run handed on (their TaskResult::values), by node id.
  std::function<std::optional<Json>(const std::string& node_id)> values;
};

enum class TaskStatus {
  kSuccess,
  kWarned,  ///< done, with something to say (a test of severity warn, few rows)
  kNoOp,    ///< nothing to do: no new files, effect already recorded
  kFailed,  ///< `error` says why; a failed test too
};

struct TaskResult {
  TaskStatus status = TaskStatus::kSuccess;
  std::optional<Error> error;
  std::string message;          ///< short, for the summary line: "42 rows in 3 files", "PASS", "FAIL 3"
  std::optional<int64_t> rows;  ///< rows written, or failing rows of a test
  std::optional<int64_t> rows_discarded;
  Json values = Json::object();   ///< handed to later nodes, kept in the metadata database
  Json details = Json::object();  ///< adapter response, compiled paths, versions read: for artifacts and the report
  bool retryable = true;          ///< false: another try cannot help
};

/// One unit of work. Run is called on a worker thread, at most once at a time.
class Task {
 public:
  virtual ~Task() = default;
  virtual TaskResult Run(TaskContext& context) = 0;
};

struct FinishedTask {
  const Node* node = nullptr;
  std::string state;  ///< success, warned, no_op, failed, skipped, cancelled
  TaskResult result;
  Timestamp started;
  Timestamp ended;
  int thread = 0;
};

/// A provider serves one run at a time; load the project again for a run beside it. Within a run MakeTask is called
/// from several threads at once, when a node may start (what it depends on is done); the other functions from one.
class NodeProvider {
 public:
  virtual ~NodeProvider() = default;
  virtual std::string_view name() const = 0;  ///< "ingest", "dbt", "script"
  /// Reads the project's files of this kind. Everything wrong goes to `diagnostics`; nodes that could be read are
  /// returned all the same. Fast: no engine is started.
  virtual std::vector<Node> Load(Diagnostics& diagnostics) = 0;
  /// Deeper checks that may start the engine (SQL that does not bind, columns that are not there). Called once, after
  /// all providers have loaded.
  virtual void Check(Diagnostics& diagnostics) = 0;
  /// What a run would find for a node, in words, for `quern plan`: which model would be judged, whether it would be
  /// retrained and why. "" when there is nothing to say beyond its selection. Changes nothing.
  virtual Result<std::string> Outlook(const Node&, const RunContext&) { return std::string(); }
  /// Called once before the tasks of a run are made.
  virtual Result<void> BeginRun(const RunContext& run, const std::vector<const Node*>& selected) = 0;
  virtual Result<std::unique_ptr<Task>> MakeTask(const Node& node, const RunContext& run) = 0;
  /// Called once after a run, whatever its outcome: artifacts.
  virtual Result<void> EndRun(const RunContext& run, const std::vector<FinishedTask>& tasks) = 0;
};

}  // namespace quern::schedule
