#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "ml/metrics/slices.h"
#include "ml/metrics/task_performance.h"

// One stream gives everything: the distinct pairs of label and prediction of each slice, in order, so that sums have
// the same digits every time.
namespace quern::ml {
namespace {

/// Predictions against labels.
class Errors {
 public:
  void Add(double label, double prediction, double rows) {
    const double error = prediction - label;
    squares_.Add(rows * (error * error));
    absolute_.Add(rows * std::abs(error));
    relative_.Add(rows * (std::abs(error) / std::max(std::abs(label), std::numeric_limits<double>::epsilon())));
    signed_.Add(rows * error);
    largest_ = std::max(largest_, std::abs(error));
  }

  /// `spread`: the labels' squared distances from their mean, when there is one.
  void Finish(MetricValues& values, double rows, std::optional<double> spread) const {
    values["rmse"] = std::sqrt(squares_.Get() / rows);
    values["mae"] = absolute_.Get() / rows;
    values["mape"] = relative_.Get() / rows;
    values["max_error"] = largest_;
    values["mean_error"] = signed_.Get() / rows;
    if (rows < 2 || !spread) return;
    if (*spread == 0) {
      values["r2"] = squares_.Get() == 0 ? 1 : 0;
    } else {
      values["r2"] = 1 - squares_.Get() / *spread;
    }
  }

 private:
  Sum squares_, absolute_, relative_, signed_;
  double largest_ = 0;
};

class RegressionSlice {
 public:
  explicit RegressionSlice(const std::optional<DummyModel>& dummy) : dummy_(dummy) {}

  void AddRows(int64_t rows, int64_t labeled) {
    rows_ += rows;
    labeled_ += labeled;
  }

  /// Labels come from the smallest to the largest.
  void Add(double label, double prediction, int64_t count) {
    const auto rows = static_cast<double>(count);
    if (judged_ == 0) first_ = label;
    last_ = label;
    judged_ += rows;
    const auto distance = static_cast<long double>(label) - static_cast<long double>(first_);
    distances_ += static_cast<long double>(rows) * distance;
    squares_ += static_cast<long double>(rows) * distance * distance;
    errors_.Add(label, prediction, rows);
    if (dummy_) of_dummy_.Add(label, dummy_->mean, rows);
  }

  Performance Finish() const {
    Performance out;
    out.rows = rows_;
    out.labeled = labeled_;
    if (judged_ == 0) return out;
    // Equal labels have no spread, whatever the rounding of their mean leaves; squares of the largest overflow.
    std::optional<double> spread;
    if (std::max(std::abs(first_), std::abs(last_)) < 1e150) {
      const auto rest = squares_ - distances_ * distances_ / static_cast<long double>(judged_);
      spread = first_ == last_ ? 0 : static_cast<double>(rest);
    }
    errors_.Finish(out.metrics, judged_, spread);
    if (dummy_) of_dummy_.Finish(out.dummy, judged_, spread);
    return out;
  }

 private:
  std::optional<DummyModel> dummy_;
  int64_t rows_ = 0, labeled_ = 0;
  double judged_ = 0, first_ = 0, last_ = 0;
  long double distances_ = 0, squares_ = 0;  // of the labels from the first one
  Errors errors_, of_dummy_;
};

// Adding 0 makes -0 and 0 one value.
std::string Query(std::string_view relation, const PerformanceSpec& spec, const SliceSql& slices) {
  return fmt::format(
      "SELECT {}, y, p, count(*), count(quern_label) FROM (SELECT *, CASE WHEN good THEN quern_label + 0 END AS y, "
      "CASE "
      "WHEN good THEN quern_prediction + 0 END AS p FROM (SELECT *, isfinite(quern_label) AND "
      "isfinite(quern_prediction) AS good FROM (SELECT {}CAST({} AS DOUBLE) AS quern_label, CAST({} AS DOUBLE) AS "
      "quern_prediction FROM (\n{}\n)))) GROUP BY {} ORDER BY set_number, slice_value NULLS FIRST, y NULLS FIRST, p",
      slices.select(), slices.columns(), QuoteIdentifier(spec.label), QuoteIdentifier(spec.prediction), relation,
      slices.Sets("y, p"));
}

}  // namespace

Result<std::vector<Performance>> EvaluateRegression(engine::Connection& connection, std::string_view relation,
                                                    const PerformanceSpec& spec) {
  const SliceSql slices(spec.slices);
  std::vector<Performance> out;
  RegressionSlice slice(spec.dummy);
  const auto finish = [&](int64_t set, const std::optional<std::string>& value) {
    out.push_back(slice.Finish());
    out.back().column = slices.Name(set);
    out.back().value = value;
    slice = RegressionSlice(spec.dummy);
  };
  const auto add = [&](const engine::Batch& batch, size_t row) {
    const auto& column = batch.columns;
    slice.AddRows(column[4].integers[row], column[5].integers[row]);
    if (column[2].IsValid(row)) slice.Add(column[2].doubles[row], column[3].doubles[row], column[4].integers[row]);
  };
  QUERN_TRY(ForEachSlice(connection, Query(relation, spec, slices), add, finish));
  return out;
}

}  // namespace quern::ml
