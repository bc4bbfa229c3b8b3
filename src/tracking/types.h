#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace quern::tracking {

/// MLflow's run states, with its names (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED).
enum class RunStatus { kRunning, kScheduled, kFinished, kFailed, kKilled };
std::string_view Name(RunStatus status);

/// "m-" and 32 hexadecimal digits: what MLflow calls the model of a run (model_id in its MLmodel file). A function of
/// its arguments alone, so that files can name it before the run is recorded.
std::string ModelId(std::string_view run_id, std::string_view model_name);

/// Params and tags: key -> value.
using Values = std::map<std::string, std::string>;

/// One point of a metric. Keys (of params and tags too) are letters, digits and _ - . : / and blanks. NaN is kept;
/// infinities are kept as MLflow keeps them, as the largest finite number.
struct Metric {
  std::string key;
  double value = 0;
  int64_t step = 0;
  int64_t timestamp_ms = 0;  ///< 0 in a NewRun: the run's end
};

/// A dataset that a run read. Name and digest are its identity within an experiment.
struct DatasetInput {
  std::string name;
  std::string digest;       ///< at most 36 characters
  std::string source_type;  ///< "delta"
  std::string source;       ///< JSON
  std::string schema;       ///< JSON, "" for none
  std::string profile;      ///< JSON, "" for none
  std::string context;      ///< "training", "evaluation": the tag mlflow.data.context; "" for none
  Values tags;              ///< of the input, beside the context
};

/// A model that a run made; it lies in the run's artifacts.
struct RunModel {
  /// What MLflow lists it as, runs:/<run id>/<name>; without any of / : . % " '. Another name than artifact_path: the
  /// client would list the files twice.
  std::string name;
  std::string artifact_path = "model";  ///< folder of the MLmodel file within the run's artifacts
  std::string model_type;               ///< free text, "" for none
  Values tags;
};

/// A whole run, to be recorded at once.
struct NewRun {
  std::string run_id;  ///< 32 lower-case hexadecimal digits, chosen by the caller: the key of idempotence
  int64_t experiment_id = 0;
  std::string name;
  RunStatus status = RunStatus::kFinished;
  Timestamp start;
  Timestamp end;
  Values params;
  Values
      tags;  ///< mlflow.runName, mlflow.user, mlflow.source.name, .type and mlflow.parentRunId are filled in by Store
  std::vector<Metric> metrics;
  std::vector<DatasetInput> datasets;
  std::optional<std::string> parent_run_id;
  std::optional<RunModel> model;
  std::string user;         ///< "": the system's user
  std::string source_name;  ///< "": "quern"
};

struct Experiment {
  int64_t id = 0;
  std::string name;
  std::string artifact_location;  ///< URI
  bool active = true;             ///< false: deleted by a client of MLflow
};

/// A run as recorded, by whomever.
struct Run {
  std::string run_id;
  int64_t experiment_id = 0;
  std::string name;
  std::string status;  ///< MLflow's name
  std::optional<Timestamp> start;
  std::optional<Timestamp> end;
  std::string artifact_uri;
  Values params;
  Values tags;
  std::map<std::string, Metric> metrics;  ///< the last point of each
  std::vector<DatasetInput> datasets;
  std::optional<std::string> model_id;  ///< of the logged model that the run made, the first when there are several
  bool active = true;                   ///< false: deleted by a client of MLflow
};

/// Which runs; what is not set does not restrict. Deleted runs are never found.
struct RunFilter {
  std::optional<int64_t> experiment_id = {};
  Values tags = {};                               ///< each equal
  std::optional<std::string> parent_run_id = {};  ///< its children
  std::optional<RunStatus> status = {};
  size_t limit = 0;  ///< 0: all
};

struct ModelVersion {
  std::string model;
  int64_t version = 0;
  Timestamp created;
  Timestamp updated;
  std::string description;
  std::string source;            ///< as a client gave it: "models:/m-...", "file:///...", "runs:/..."
  std::string storage_location;  ///< where the files lie, URI
  std::string run_id;            ///< "": none
  std::string status;            ///< READY, PENDING_REGISTRATION, FAILED_REGISTRATION
  Values tags;
  std::vector<std::string> aliases;  ///< sorted
};

struct RegisteredModel {
  std::string name;
  Timestamp created;
  Timestamp updated;
  std::string description;
  Values tags;
  std::map<std::string, int64_t> aliases;
};

/// A version to be made of a run's model.
struct NewVersion {
  std::string model;        ///< registered model, made when it is not there
  std::string run_id;       ///< a recorded run with a model
  std::string effect;       ///< tag quern.effect: a version that has it already is this one
  std::string description;  ///< may be empty
  Values tags;
  std::string source;  ///< "": the run's model as MLflow names it, models:/<model id>; or a URI of a model's folder
};

struct Promotion {
  int64_t version = 0;
  bool made = false;              ///< false: found by its effect, or had the alias already; nothing was changed
  std::optional<int64_t> former;  ///< had the alias before, has `previous` now
};

inline constexpr std::string_view kChampion = "champion";
inline constexpr std::string_view kPrevious = "previous";

}  // namespace quern::tracking
