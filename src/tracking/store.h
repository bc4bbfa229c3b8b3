#pragma once
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "tracking/types.h"

namespace quern::state {
class Database;
}

namespace quern::tracking {

struct StoreOptions {
  std::string path;                     ///< the SQLite file, or sqlite:<path>; made with its folders when missing
  std::filesystem::path artifact_root;  ///< folder; experiments get <artifact_root>/<experiment id>
  bool read_only = false;
  const Clock* clock = &Clock::System();  ///< of registry entries; outlives the store
  std::chrono::milliseconds busy_timeout{30'000};
};

/// Experiments, runs and the model registry on MLflow's own SQL schema: what is written here the mlflow package of that
/// schema (3.17) reads as sqlite:///<path>, and what it writes is read here. Thread-safe; several processes may use one
/// file. Every call that changes something is one transaction: done whole, or not at all, also when the process dies.
///
/// Errors of every call: kStateBusy (another process holds the lock past the timeout), kNoSpace, kPermissionDenied,
/// kIo, kCorrupt. A thing that is asked for by name or id and must be there: kTrackingNotFound, with "did you mean".
class Store {
 public:
  /// Opens the database, or makes it with MLflow's tables. Errors: kTrackingSchema (the file is no MLflow database, or
  /// one of another version: says which, and what to do), kNotFound (read_only, and there is none), those above.
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options);
  ~Store();

  // --- experiments -------------------------------------------------------------------------------------------------
  /// By name, made when missing. Error: kTrackingConflict when a client of MLflow deleted the experiment.
  Result<Experiment> GetOrCreateExperiment(const std::string& name);
  Result<std::optional<Experiment>> FindExperiment(const std::string& name);
  Result<std::vector<Experiment>> ListExperiments();  ///< active ones, by id

  // --- runs --------------------------------------------------------------------------------------------------------
  /// Records a run with all that belongs to it. A run of that id is replaced: its params, metrics, tags, inputs and
  /// model are then the given ones, and nothing else. Artifacts must lie in place already (artifacts.h). Errors:
  /// kInvalidArgument (a malformed id, key or value), kTrackingNotFound (the experiment), kTrackingConflict (the id
  /// belongs to a run of another experiment).
  Result<void> RecordRun(const NewRun& run);
  Result<std::optional<Run>> FindRun(const std::string& run_id);
  /// Newest start first; with params, tags, last metrics and datasets.
  Result<std::vector<Run>> ListRuns(const RunFilter& filter);
  /// The run whose last value of `metric` is best; equal values: the one started first. NaN is never best.
  Result<std::optional<Run>> BestRun(const RunFilter& filter, const std::string& metric, bool larger_is_better);
  /// All points of a metric, by timestamp, step, value.
  Result<std::vector<Metric>> MetricHistory(const std::string& run_id, const std::string& key);
  Result<void> SetTag(const std::string& run_id, const std::string& key, const std::string& value);
  /// Adds points; timestamp 0: now. A point that is there already is not doubled.
  Result<void> LogMetrics(const std::string& run_id, const std::vector<Metric>& metrics);

  // --- registry ----------------------------------------------------------------------------------------------------
  Result<RegisteredModel> GetOrCreateModel(const std::string& model, const std::string& description = "");
  Result<std::optional<RegisteredModel>> FindModel(const std::string& model);
  Result<std::vector<RegisteredModel>> ListModels();  ///< by name

  /// Makes a version of the run's model; a version of that model with the same effect is found instead. Numbers
  /// rise and are never given again. Errors: kTrackingNotFound (the run, or it has no
  /// model and no source is given), kInvalidArgument.
  Result<Promotion> RegisterVersion(const NewVersion& version);
  /// RegisterVersion, and moves `champion` to it, and `previous` to the former champion, in one transaction. Found by
  /// its effect: nothing is changed, whatever the aliases have become since.
  Result<Promotion> Promote(const NewVersion& version);
  /// Moves `champion` to a version that is there, `previous` to the former. Already champion: nothing is changed.
  Result<Promotion> PromoteVersion(const std::string& model, int64_t version);
  /// Moves several aliases in one transaction; no version: removes the alias (one that is not there is no error).
  Result<void> SetAliases(const std::string& model, const std::map<std::string, std::optional<int64_t>>& aliases);
  Result<void> SetAlias(const std::string& model, const std::string& alias, int64_t version);
  Result<void> DeleteAlias(const std::string& model, const std::string& alias);

  Result<std::vector<ModelVersion>> ListVersions(
      const std::string& model);  ///< newest first; an unknown model has none
  Result<std::optional<ModelVersion>> FindVersion(const std::string& model, int64_t version);
  Result<std::optional<ModelVersion>> FindVersionByAlias(const std::string& model, const std::string& alias);
  Result<std::optional<ModelVersion>> FindVersionByEffect(const std::string& model, const std::string& effect);
  /// Versions of any model made of a run.
  Result<std::vector<ModelVersion>> VersionsOfRun(const std::string& run_id);
  Result<void> SetVersionTag(const std::string& model, int64_t version, const std::string& key,
                             const std::string& value);

  // --- artifacts ---------------------------------------------------------------------------------------------------
  /// Folder of a run's artifacts: <artifact_root>/<experiment id>/<run id>/artifacts.
  std::filesystem::path RunFolder(int64_t experiment_id, const std::string& run_id) const;
  const std::filesystem::path& artifact_root() const { return artifact_root_; }  ///< absolute
  const std::string& path() const { return path_; }

 private:
  Store(std::string path, const StoreOptions& options);
  Timestamp Now() const { return clock_->Now(); }

  std::string path_;
  std::filesystem::path artifact_root_;
  const Clock* clock_;
  std::unique_ptr<state::Database> db_;
};

}  // namespace quern::tracking
