#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/json.h"
#include "base/result.h"
#include "engine/connection.h"
#include "io/files.h"
#include "ml/model/model_spec.h"

namespace quern::ml {

/// `trainer: {command, requirements, timeout}`: a program that trains (docs/reference/ml.md, "Trainers in any
/// language").
struct ScriptTrainer {
  std::vector<std::string> argv{};       ///< either this
  std::string shell{};                   ///< or a text for `sh -c`
  std::filesystem::path requirements{};  ///< absolute; empty: the environment as it is
  std::string requirements_name{};       ///< as shown to the user
  std::optional<std::chrono::milliseconds> timeout{};
};

struct ScriptTrainRequest {
  ScriptTrainer trainer{};
  std::filesystem::path project{};       ///< working folder of the script
  std::filesystem::path environments{};  ///< of Python
  std::filesystem::path work{};          ///< for the Parquet files; a folder of its own is made and removed
  std::filesystem::path model_folder{};  ///< where the MLflow model is put
  std::string name{};                    ///< the model's
  std::string query{};                   ///< training rows, ordered by key
  std::string validation_query{};        ///< empty: none
  std::vector<std::string> key{};
  std::string label{};
  std::vector<std::string> features{};
  std::vector<std::string> categorical{};
  std::optional<Task> task{};
  Json parameters = Json::object();
  int64_t seed = 0;
  int threads = 1;
  std::map<std::string, std::string> environment{};  ///< more variables (QUERN_INTERVAL_START, ...)
  std::function<void(std::string_view)> log{};
  Cancellation cancellation{};
};

struct ScriptTrained {
  std::map<std::string, double> metrics{};  ///< of metrics.json
};

/// Writes the rows as Parquet, runs the program, checks what it left. Errors: kScriptFailed (with its last lines),
/// kTimeout, kModelFile (no MLmodel, no python_function flavor), kTraining (metrics.json is missing, no object of
/// finite numbers), kCancelled, and those of the query and the environment.
Result<ScriptTrained> TrainWithScript(engine::Connection& connection, const ScriptTrainRequest& request);

struct MlflowScoring {
  std::filesystem::path model_folder{};
  std::filesystem::path environments{};
  std::filesystem::path work{};
  ScriptTrainer trainer{};  ///< its requirements make the environment; it must hold mlflow
  std::vector<std::string> features{};
  Task task = Task::kBinary;
  std::vector<std::string> classes{};  ///< of classification, in the order of probabilities that the model may give
  double threshold = 0.5;
  std::function<void(std::string_view)> log{};
  Cancellation cancellation{};
};

struct ScoredRows {
  io::TempFolder folder;  ///< holds the file
  std::filesystem::path file;
};

/// Scores a model of any MLflow flavor: writes the rows of `query` as Parquet, runs a small Python program in the
/// trainer's environment (mlflow.pyfunc), and gives a Parquet file with the query's columns but the features that are
/// not in `columns`, and prediction, score[, probabilities] as PredictionQuery has them. Errors: kScriptFailed (mlflow
/// is not there, the model fails), kModelFile, kTimeout, kCancelled.
Result<ScoredRows> ScoreWithMlflow(engine::Connection& connection, const MlflowScoring& scoring,
                                   const std::string& query, const std::vector<std::string>& columns);

}  // namespace quern::ml
