#include "ml/metrics/performance.h"

#include <algorithm>
#include <limits>

#include "ml/metrics/slices.h"
#include "ml/metrics/task_performance.h"

namespace quern::ml {

const std::vector<MetricInfo>& MetricsOf(Task task) {
  static const std::vector<MetricInfo> kBinary = {{"accuracy", true},  {"auc", true},    {"average_precision", true},
                                                  {"log_loss", false}, {"brier", false}, {"precision", true},
                                                  {"recall", true},    {"f1", true},     {"tp", true},
                                                  {"fp", false},       {"tn", true},     {"fn", false}};
  static const std::vector<MetricInfo> kMulticlass = {{"accuracy", true}, {"log_loss", false}, {"precision", true},
                                                      {"recall", true},   {"f1", true},        {"auc", true}};
  static const std::vector<MetricInfo> kRegression = {{"rmse", false}, {"mae", false},       {"mape", false},
                                                      {"r2", true},    {"max_error", false}, {"mean_error", false}};
  switch (task) {
    case Task::kBinary:
      return kBinary;
    case Task::kMulticlass:
      return kMulticlass;
    case Task::kRegression:
      break;
  }
  return kRegression;
}

const MetricInfo* FindMetric(Task task, std::string_view name) {
  for (const auto& metric : MetricsOf(task)) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

std::string Performance::Slice() const {
  return SliceText(column, value);
}

double ClipProbability(double p) {
  constexpr double kLeast = std::numeric_limits<double>::epsilon();
  return std::clamp(p, kLeast, 1 - kLeast);
}

namespace {
// Every metric has its key, and nothing is NaN or infinite.
void Complete(MetricValues& values, Task task) {
  for (const auto& metric : MetricsOf(task)) values.try_emplace(metric.name);
  for (auto& [name, value] : values) {
    if (value && !std::isfinite(*value)) value.reset();
  }
}
}  // namespace

Result<std::vector<Performance>> Evaluate(engine::Connection& connection, std::string_view relation,
                                          const PerformanceSpec& spec) {
  const auto evaluate = [&] {
    switch (spec.task) {
      case Task::kBinary:
        return EvaluateBinary(connection, relation, spec);
      case Task::kMulticlass:
        return EvaluateMulticlass(connection, relation, spec);
      case Task::kRegression:
        break;
    }
    return EvaluateRegression(connection, relation, spec);
  };
  auto out = QUERN_TRY(evaluate());
  for (auto& performance : out) {
    Complete(performance.metrics, spec.task);
    if (spec.dummy) Complete(performance.dummy, spec.task);
  }
  return out;
}

}  // namespace quern::ml
