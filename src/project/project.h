#pragma once
#include <memory>
#include <mutex>

#include "project/config.h"
#include "schedule/backfill.h"
#include "schedule/node_graph.h"
#include "schedule/run_store.h"
#include "schedule/runner.h"
#include "tracking/store.h"
#include "warehouse/warehouse.h"

namespace quern::project {

struct OpenOptions {
  std::filesystem::path project_dir;  ///< empty: the nearest quern.yml from the working directory upwards
  std::string target;                 ///< empty: the default one
  Json vars = Json::object();         ///< --vars; win over quern.yml's
  int threads = 0;                    ///< 0: the target's
  const Clock* clock = nullptr;
};

/// A project: quern.yml, the one graph of what its providers offer, and the doors to its warehouse and history, each
/// opened when first asked for. Knows no kind of node: the caller adds the providers. Not thread-safe, but for
/// warehouse() and what lies behind it.
class Project {
 public:
  /// Reads quern.yml. What is wrong inside goes to `diagnostics`; the project is fit to run only when that stays ok.
  /// Errors: kProject when there is no quern.yml, it cannot be read at all, or the target is unknown.
  static Result<std::unique_ptr<Project>> Open(const OpenOptions& options, Diagnostics& diagnostics);
  ~Project();

  const Config& config() const { return config_; }
  const Target& target() const { return target_; }
  const std::filesystem::path& root() const { return config_.root; }
  const Clock& clock() const { return *options_.clock; }
  int threads() const;  ///< that tasks may use: --threads, the target's, or the machine's cores
  std::filesystem::path log_root() const;
  std::filesystem::path report_path() const;

  /// Before Load.
  void AddProvider(std::unique_ptr<schedule::NodeProvider> provider);
  /// Lets every provider load, joins the graph, and checks the schedules (cron, selectors). Starts no engine.
  void Load(Diagnostics& diagnostics);
  /// Deeper: what the providers can check with the engine, and reads of tables that nobody writes and that are not
  /// there. After Load.
  void Check(Diagnostics& diagnostics);
  const schedule::NodeGraph& graph() const { return graph_; }

  /// The schedule, ready to run. Errors: kProject, kCron.
  Result<schedule::Schedule> FindSchedule(const std::string& name) const;
  std::vector<schedule::Schedule> AllSchedules() const;  ///< those that are well formed
  /// What a selection takes; `warnings` get what matches nothing. Errors: kSelector.
  Result<schedule::Workload> Select(const std::vector<std::string>& select, const std::vector<std::string>& exclude,
                                    std::vector<Error>* warnings = nullptr) const;
  /// The schedule's own selection, or `select` in its place when that is not empty; `exclude` adds to the schedule's.
  Result<schedule::Workload> SelectFor(const std::string& schedule, const std::vector<std::string>& select,
                                       const std::vector<std::string>& exclude,
                                       std::vector<Error>* warnings = nullptr) const;

  /// Those of quern.yml and, winning over them, those of --vars.
  Json vars() const;
  const std::string& invocation_id() const { return invocation_id_; }
  /// What all runs of this call share: vars, target, git commit, invocation id, clock.
  schedule::RunContext BaseContext();
  /// A run outside schedules, "manual/<now>": its interval is [now, now).
  schedule::RunContext ManualContext();

  /// The warehouse, opened by the first call. Thread-safe.
  Result<warehouse::Warehouse*> warehouse();
  /// The tracking database, opened (and made) by the first call. Thread-safe.
  Result<tracking::Store*> tracking();
  /// As tracking(), but null when nothing was ever tracked, and nothing is made.
  Result<tracking::Store*> tracking_if_any();
  /// The history of runs; makes the metadata database when it is not there.
  Result<schedule::RunStore*> runs();
  /// As runs(), but null when nothing was ever recorded, and nothing is made.
  Result<schedule::RunStore*> runs_if_any();
  /// Undoes a schedule's effects for --rerun.
  schedule::RerunPreparer& preparer() { return *preparer_; }

 private:
  Project(OpenOptions options, Config config, Target target);
  void CheckSchedules(Diagnostics& diagnostics);
  void CheckReads(Diagnostics& diagnostics);
  Result<schedule::Schedule> MakeSchedule(const ScheduleConfig& config) const;

  OpenOptions options_;
  Config config_;
  Target target_;
  std::vector<std::unique_ptr<schedule::NodeProvider>> providers_;
  schedule::NodeGraph graph_;
  std::mutex warehouse_mutex_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::mutex tracking_mutex_;
  std::unique_ptr<tracking::Store> tracking_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<schedule::RunStore> store_;
  bool store_read_only_ = false;
  std::unique_ptr<schedule::RerunPreparer> preparer_;
  std::optional<std::string> git_commit_;
  std::string invocation_id_;
};

}  // namespace quern::project
