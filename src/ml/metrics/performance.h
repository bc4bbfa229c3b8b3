#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/connection.h"
#include "ml/model/model_spec.h"

// How good predictions were, once their labels are known: scikit-learn's figures, computed in the engine. A relation is
// the text of a SQL query, read once for all slices; the engine spills what does not fit, so memory is bounded.
namespace quern::ml {

struct MetricInfo {
  std::string name;
  bool larger_is_better = true;
};
/// The metrics of a task, in the order in which tables show them. Binary: accuracy, auc, average_precision, log_loss,
/// brier, precision, recall, f1, tp, fp, tn, fn. Multiclass: accuracy, log_loss, precision, recall, f1, auc (the last
/// four macro averages). Regression: rmse, mae, mape, r2, max_error, mean_error.
const std::vector<MetricInfo>& MetricsOf(Task task);
/// Null for a name that the task does not have.
const MetricInfo* FindMetric(Task task, std::string_view name);

/// A metric's value; empty where it is not defined (auc of one class, r2 of one row) or nothing was there to judge.
using MetricValues = std::map<std::string, std::optional<double>, std::less<>>;

/// What the model that always says the same knows: the training labels.
struct DummyModel {
  double positive_share = 0;                     ///< binary
  std::map<std::string, double> class_shares{};  ///< multiclass; sums to 1
  double mean = 0;                               ///< regression
};

struct PerformanceSpec {
  Task task = Task::kBinary;
  std::string label = "label";            ///< column; rows where it is null are not judged
  std::string prediction = "prediction";  ///< column: the class as text, or a number
  std::string score = "score";            ///< column of P(positive), binary only; "" when there is none
  std::string probabilities{};    ///< column of JSON text {"class": P, ...}, multiclass only; "" when there is none
  std::string positive = "true";  ///< the positive class as text
  std::vector<std::string> classes{};  ///< of a multiclass model, as text; those that its probabilities name
  std::vector<std::string> slices{};   ///< columns: figures for each of their values too
  std::optional<DummyModel> dummy{};
  int calibration_bins = 10;  ///< binary; 0: none
};

/// Scores within (lower, upper] (the first bin includes 0): sklearn.calibration_curve's uniform bins, empty ones too.
struct CalibrationBin {
  double lower = 0;
  double upper = 0;
  int64_t rows = 0;
  std::optional<double> mean_score;
  std::optional<double> positive_share;
};

struct Performance {
  std::string column;                    ///< of the slice; "" for all rows
  std::optional<std::string> value;      ///< of the slice, as text; empty where the column is null
  int64_t rows = 0;                      ///< predictions
  int64_t labeled = 0;                   ///< of them, with a label
  std::optional<double> positive_share;  ///< binary: of the labels
  MetricValues metrics;                  ///< every metric of the task, in any case
  MetricValues dummy;                    ///< the same for the dummy, on the same rows; empty without one
  Json confusion;                        ///< multiclass: {label: {prediction: rows}}; else null
  std::vector<CalibrationBin> calibration;

  /// '' for all rows, else 'origin=JFK'; 'origin' of null is 'origin=null'.
  std::string Slice() const;
};

/// Equal to scikit-learn's accuracy_score, roc_auc_score, average_precision_score, log_loss (labels given, so that one
/// class is no error), brier_score_loss, precision_score, recall_score, f1_score (0 where a denominator is, as
/// zero_division says by default), confusion_matrix, root_mean_squared_error, mean_absolute_error,
/// mean_absolute_percentage_error, r2_score, max_error; mean_error is the mean of prediction - label. Rows without a
/// prediction count for the scores' metrics only, rows whose score is null or no number for the classes' only.
/// The first element is all rows (there even when the relation is empty), then slices by column and value.
/// Errors: those of the engine for the query; kSqlBind for a column that is not there.
Result<std::vector<Performance>> Evaluate(engine::Connection& connection, std::string_view relation,
                                          const PerformanceSpec& spec);

}  // namespace quern::ml
