// Metrics by task, and the names that expressions may use.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ml/config.h"

namespace quern::ml {
namespace {

const std::vector<std::string>& AllMetrics() {
  static const auto all_metrics = [] {
    std::vector<std::string> all;
    for (auto task : {TaskType::kClassification, TaskType::kMulticlass, TaskType::kRegression}) {
      for (const auto& name : MetricNames(task)) {
        if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
      }
    }
    return all;
  }();
  return all_metrics;
}

void AddMetrics(Names& names, std::optional<TaskType> task, std::initializer_list<const char*> prefixes) {
  for (const auto& metric : task ? MetricNames(*task) : AllMetrics()) {
    for (const char* prefix : prefixes) names.types[prefix + metric] = ValueType::kNumber;
  }
}

}  // namespace

std::string_view ToString(TaskType task) {
  switch (task) {
    case TaskType::kClassification:
      return "classification";
    case TaskType::kMulticlass:
      return "multiclass";
    case TaskType::kRegression:
      return "regression";
  }
  return "";
}

std::optional<TaskType> ParseTaskType(std::string_view text) {
  for (auto task : {TaskType::kClassification, TaskType::kMulticlass, TaskType::kRegression}) {
    if (text == ToString(task)) return task;
  }
  return std::nullopt;
}

const std::vector<std::string>& MetricNames(TaskType task) {
  static const std::vector<std::string> binary = {
      "accuracy", "auc", "average_precision", "log_loss", "brier", "f1", "precision", "recall", "tp", "fp", "tn", "fn"};
  static const std::vector<std::string> multiclass = {"accuracy", "auc", "log_loss", "f1", "precision", "recall"};
  static const std::vector<std::string> regression = {"rmse", "mae", "mape", "r2", "max_error", "mean_error"};
  return task == TaskType::kClassification ? binary : task == TaskType::kMulticlass ? multiclass : regression;
}

std::vector<std::string> PromotionMetrics(std::optional<TaskType> task) {
  std::vector<std::string> names = task ? MetricNames(*task) : AllMetrics();
  std::erase_if(names, [](const std::string& name) {
    return name == "tp" || name == "fp" || name == "tn" || name == "fn" || name == "mean_error";
  });
  return names;
}

bool LargerIsBetter(std::string_view metric) {
  for (std::string_view smaller : {"log_loss", "brier", "fp", "fn", "rmse", "mae", "mape", "max_error", "mean_error"}) {
    if (metric == smaller) return false;
  }
  return true;
}

std::string DefaultMetric(TaskType task) {
  return task == TaskType::kClassification ? "auc" : task == TaskType::kMulticlass ? "log_loss" : "rmse";
}

Names RetrainNames(std::optional<TaskType> task, const std::vector<std::string>* features) {
  Names names;
  AddMetrics(names, task, {"", "dummy.", "baseline."});
  for (const char* name : {"drift.share", "drift.count", "drift.prediction", "predictions.mean", "rows", "labeled"})
    names.types[name] = ValueType::kNumber;
  if (!task || *task == TaskType::kClassification) names.types["positive_share"] = ValueType::kNumber;
  names.types["age"] = ValueType::kDuration;
  if (!features) {
    names.types["drift.*"] = ValueType::kNumber;
  } else {
    for (const auto& feature : *features) names.types.try_emplace("drift." + feature, ValueType::kNumber);
  }
  return names;
}

Names RequireNames(std::optional<TaskType> task) {
  Names names;
  AddMetrics(names, task, {"", "dummy.", "champion.", "min_slice.", "max_slice.", "slice.*."});
  names.types["rows"] = ValueType::kNumber;
  return names;
}

void CheckTask(const ModelConfig& model, std::optional<TaskType> task, const std::vector<std::string>* features,
               Diagnostics& diagnostics) {
  const std::string what = task ? fmt::format("a {} model", ToString(*task)) : "a model";
  if (!model.promote.metric.empty()) {
    const auto known = PromotionMetrics(task);
    if (std::find(known.begin(), known.end(), model.promote.metric) == known.end()) {
      std::string hint = DidYouMean(model.promote.metric, known);
      if (hint.empty()) hint = "metrics to choose by are " + Join(known, ", ");
      diagnostics.Add(
          Error(ErrorCode::kModelConfig, fmt::format("'metric' of {} cannot be '{}'", what, model.promote.metric))
              .At(model.promote.metric_pos)
              .Hint(std::move(hint)));
    }
  }
  if (model.retrain_when) model.retrain_when->Check(RetrainNames(task, features), diagnostics);
  for (const auto& require : model.promote.require) require.Check(RequireNames(task), diagnostics);
  if (task && *task == TaskType::kRegression && model.train.class_weight.kind != ClassWeightConfig::Kind::kNone) {
    diagnostics.Add(Error(ErrorCode::kModelConfig, "a regression model has no classes to weigh")
                        .At(model.train.class_weight.pos)
                        .Hint("leave 'class_weight' out"));
  }
  if (task && *task != TaskType::kClassification && model.predict.threshold_pos.known()) {
    diagnostics.Add(Error(ErrorCode::kModelConfig, fmt::format("{} has no threshold", what))
                        .At(model.predict.threshold_pos)
                        .Hint("'threshold' is for classification with two classes; leave it out"));
  }
}

}  // namespace quern::ml
