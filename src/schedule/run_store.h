#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "schedule/node_provider.h"
#include "state/database.h"

namespace quern::schedule {

/// States of a DAG run: queued, running, success, failed, cancelled. A run that says `running` though its process is
/// dead reads as `interrupted`. States of a task instance: queued, running, up_for_retry, success, warned, no_op,
/// failed, skipped, cancelled, interrupted.

/// A process, so that another can tell whether it is still there.
struct ProcessIdentity {
  std::string host;
  std::string boot;  ///< boot id and pid namespace: within one, pids can be compared
  int64_t pid = 0;
  int64_t started = 0;  ///< the kernel's start time of the process, against reuse of the pid
  static ProcessIdentity Self();
  /// Whether it is alive; nothing when it cannot be told from here (another host or pid namespace).
  std::optional<bool> Alive() const;
};

struct DagRun {
  int64_t key = 0;
  std::string dag;  ///< the schedule's name
  std::string id;   ///< "monthly/2013-05-01"
  Timestamp logical_date;
  Interval interval;
  std::string state;
  std::vector<std::string> select;
  std::vector<std::string> exclude;
  std::string target;
  Json vars = Json::object();
  std::string git_commit;
  std::string invocation_id;
  bool full_refresh = false;
  bool rerun = false;
  std::string message;
  std::optional<Timestamp> started;  ///< of the last attempt
  std::optional<Timestamp> ended;
  ProcessIdentity owner;
  int attempt = 0;
};

struct TaskInstance {
  std::string node;
  std::string kind;
  std::string state;
  int try_number = 0;
  std::optional<Timestamp> started;
  std::optional<Timestamp> ended;
  double seconds = 0;
  std::optional<int64_t> rows;
  std::optional<int64_t> rows_discarded;
  std::string message;
  std::optional<Json> error;  ///< Error::ToJson
  Json values = Json::object();
  Json details = Json::object();
};

struct TaskTry {
  std::string node;
  int try_number = 0;
  std::string state;
  std::optional<Timestamp> started;
  std::optional<Timestamp> ended;
  std::string message;
  std::optional<Json> error;
};

/// The last time that a node did its work.
struct LastTime {
  std::string dag_run;
  std::string state;
  Timestamp ended;
  double seconds = 0;
  std::optional<int64_t> rows;
};

/// DAG runs, task instances and tries in the metadata database, for one target. Thread-safe.
class RunStore {
 public:
  /// `database` outlives the store. Makes or migrates the tables unless `database` was opened read-only.
  static Result<std::unique_ptr<RunStore>> Open(state::Database* database, const std::string& target,
                                                const Clock* clock, bool read_only = false);
  virtual ~RunStore() = default;

  /// The right to run one interval, as long as it lives. Keeps a heartbeat; released by Finish, or by the process's
  /// death.
  class Claim {
   public:
    virtual ~Claim() = default;
    virtual int64_t run_key() const = 0;
    /// The run has succeeded before and every node is done: nothing was changed, and there is nothing to finish.
    virtual bool nothing_to_do() const = 0;
    /// Nodes that an earlier attempt of this run finished (success, warned, no_op), with the values they handed on.
    virtual const std::map<std::string, Json>& done() const = 0;
    /// Number of the next try of a node: one more than any before.
    virtual int NextTry(const std::string& node) const = 0;
    /// Records a batch of changes in one transaction.
    virtual Result<void> Record(const std::vector<TaskInstance>& changes) = 0;
    /// Ends the run with a state and gives the claim back.
    virtual Result<void> Finish(const std::string& state, const std::string& message) = 0;
  };

  struct Begin {
    const RunContext* run = nullptr;
    std::vector<const Node*> nodes{};   ///< selected and runnable
    std::vector<std::string> select{};  ///< as asked, for the history and for `retry`
    std::vector<std::string> exclude{};
    bool discard_done = false;  ///< what is done counts as not done
    bool exclusive = true;      ///< one interval of the DAG at a time; false: only the same interval excludes
  };
  /// Takes the interval. A dead process's claim is taken over at once: its running tasks become interrupted. A process
  /// on another host counts as dead when its heartbeat is a minute old. Errors: kIntervalRunning naming the holder
  /// (fields: dag_run, host, pid); kRerunPending when a rerun of the DAG was begun and not finished, and this is not
  /// part of it (RunContext::rerun).
  virtual Result<std::unique_ptr<Claim>> Take(const Begin& begin) = 0;

  /// A --rerun that was begun and is not finished: intervals from `from` to `until` are to be run again, in order.
  struct Rerun {
    Timestamp from;
    Timestamp until;  ///< the last interval to rerun or replay: at least what was asked for, at least the last that had
                      ///< succeeded
    bool prepared = false;  ///< the tables have been restored
  };
  /// Notes that a rerun begins, before anything is undone. Joins with one that is pending.
  /// Errors: kIntervalRunning when one of the DAG's runs is under way.
  virtual Result<Rerun> BeginRerun(const std::string& dag, Timestamp from, Timestamp to) = 0;
  virtual Result<std::optional<Rerun>> PendingRerun(const std::string& dag) = 0;
  /// The tables have been restored: every run of the DAG from the rerun's first interval on becomes queued, its tasks
  /// too.
  virtual Result<void> SetRerunPrepared(const std::string& dag) = 0;
  virtual Result<void> EndRerun(const std::string& dag) = 0;

  struct Filter {
    std::string dag{};  ///< empty: all
    std::vector<std::string> states{};
    std::optional<Timestamp> from{};  ///< logical dates, inclusive
    std::optional<Timestamp> to{};
    int64_t limit = -1;
    bool newest_first = true;
  };
  virtual Result<std::vector<DagRun>> Runs(const Filter& filter) = 0;
  /// By id, or by the part after the last '/' when only one DAG has it, or "latest". Errors: kRunNotFound, with "did
  /// you mean".
  virtual Result<DagRun> FindRun(const std::string& id) = 0;
  virtual Result<std::vector<TaskInstance>> Tasks(int64_t run_key) = 0;
  virtual Result<std::vector<TaskTry>> Tries(int64_t run_key) = 0;
  /// By node id; only nodes that ever did something.
  virtual Result<std::map<std::string, LastTime>> LastTimes() = 0;

  /// Counts for metrics: runs by dag and state, tasks by kind and state, seconds and rows by kind.
  struct Totals {
    std::map<std::pair<std::string, std::string>, int64_t> runs;
    std::map<std::pair<std::string, std::string>, int64_t> tasks;
    std::map<std::string, double> task_seconds;
    std::map<std::string, int64_t> rows;
    std::map<std::string, int64_t> rows_discarded;
  };
  virtual Result<Totals> Metrics() = 0;
};

}  // namespace quern::schedule
