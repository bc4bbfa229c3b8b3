#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/json.h"
#include "base/result.h"
#include "engine/connection.h"
#include "ml/model/model_spec.h"

namespace quern::ml {

struct ClassWeight {
  enum class Mode { kNone, kBalanced, kGiven };
  Mode mode = Mode::kNone;
  std::map<std::string, double> weights{};  ///< by class, of kGiven; classes that are not named weigh 1
};

struct TrainRequest {
  /// Training rows, ordered by key: features, label and key by their names, other columns are passed over. Rows
  /// without a label must be left out by it.
  std::string query{};
  std::string validation_query{};  ///< the same for early stopping; empty: none
  std::vector<std::string> key{};  ///< to name rows in errors
  std::string label{};
  std::vector<std::string> features{};
  std::vector<std::string> categorical{};  ///< numbers that are taken as categories
  /// Empty: BOOLEAN is binary, text is binary or multiclass by its classes, numbers are regression.
  std::optional<Task> task{};
  std::string positive{};  ///< the positive class of a binary model; empty: true, or the last in order
  double threshold = 0.5;
  Json parameters = Json::object();  ///< XGBoost's, the fixed ones and the candidate's (see parameters.h)
  int rounds = 300;
  int early_stopping = 30;  ///< rounds without a better validation metric; 0: never; needs validation rows
  ClassWeight class_weight{};
  int64_t seed = 0;
  int threads = 1;
  Cancellation cancellation{};  ///< looked at between rounds and batches
  std::function<void(int round, const std::string& metrics)> on_round{};
};

/// One metric after one round; rounds count from 0.
struct HistoryPoint {
  std::string metric;  ///< "train_logloss", "validation_logloss"
  int round = 0;
  double value = 0;
};

struct FeatureImportance {
  std::string feature;
  double gain = 0;    ///< mean loss reduction of its splits
  double weight = 0;  ///< number of its splits
  double cover = 0;   ///< mean sum of hessians at its splits
};

struct TrainedModel {
  ModelSpec spec{};
  std::string booster{};  ///< XGBoost's UBJSON: the same bytes for the same rows, parameters, seed and library
  std::string xgboost_version{};
  Json parameters = Json::object();  ///< everything that was set, for the tracking record
  int rounds = 0;                    ///< that the model has: up to the best one
  int rounds_trained = 0;
  /// Of the model's last round: train_<metric>, validation_<metric>; best_round, rounds_trained.
  std::map<std::string, double> metrics{};
  std::vector<HistoryPoint> history{};
  std::vector<FeatureImportance> importance{};  ///< every feature, by gain, largest first
  int64_t training_rows = 0;
  int64_t validation_rows = 0;
  std::vector<Error> warnings{};      ///< a feature that is all missing, categories left out, ...
  Json example_rows = Json::array();  ///< a few training rows, arrays in the order of the features
};

/// Trains with XGBoost, which is loaded when first needed. Memory: the rows as 32-bit floats, and XGBoost's bins.
/// Categories beyond the 10,000 most frequent of a column count as missing (a warning says so).
/// Errors: kTrainingData (no rows, one class, a missing label, an infinite value with its column and row key, a column
/// of a type that is no feature), kUnknownKey and kInvalidArgument (parameters), kTraining (no XGBoost; it failed),
/// kCancelled, and those of the query.
Result<TrainedModel> TrainXgboost(engine::Connection& connection, const TrainRequest& request);

}  // namespace quern::ml
