#include "ml/model/model_spec.h"

#include <fmt/format.h>

#include <algorithm>

namespace quern::ml {
namespace {

using engine::BatchType;

constexpr std::pair<Task, std::string_view> kTasks[] = {
    {Task::kBinary, "classification"}, {Task::kMulticlass, "multiclass"}, {Task::kRegression, "regression"}};
constexpr std::pair<BatchType, std::string_view> kTypes[] = {{BatchType::kBool, "boolean"},
                                                             {BatchType::kInteger, "integer"},
                                                             {BatchType::kDouble, "double"},
                                                             {BatchType::kText, "text"}};

std::string_view TypeName(BatchType type) {
  for (const auto& [known, name] : kTypes) {
    if (known == type) return name;
  }
  return "text";
}

tl::unexpected<Error> Bad(const std::string& file, const std::string& what) {
  return Fail(ErrorCode::kModelFile, fmt::format("{}: {}", file, what));
}

Result<Feature> FeatureFromJson(const Json& json, const std::string& file) {
  Feature out;
  std::string type;
  try {
    out.name = json.at("name").get<std::string>();
    out.sql_type = json.at("sql_type").get<std::string>();
    type = json.at("type").get<std::string>();
    out.categorical = json.at("categorical").get<bool>();
    out.has_missing = json.at("has_missing").get<bool>();
    out.all_missing = json.at("all_missing").get<bool>();
    if (out.categorical && type == "text") out.texts = json.at("categories").get<std::vector<std::string>>();
    if (out.categorical && type != "text") out.numbers = json.at("categories").get<std::vector<double>>();
  } catch (const Json::exception& e) {
    return Bad(file, fmt::format("a feature is not described as it should be ({})", e.what()));
  }
  auto known = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.second == type; });
  if (known == std::end(kTypes)) return Bad(file, fmt::format("feature '{}' is of unknown type '{}'", out.name, type));
  out.type = known->first;
  if (out.type == BatchType::kText && !out.categorical)
    return Bad(file, fmt::format("feature '{}' is text without categories", out.name));
  if (!std::is_sorted(out.texts.begin(), out.texts.end()) || !std::is_sorted(out.numbers.begin(), out.numbers.end()))
    return Bad(file, fmt::format("the categories of feature '{}' are not sorted", out.name));
  return out;
}

}  // namespace

std::string_view TaskName(Task task) {
  return kTasks[static_cast<size_t>(task)].second;
}

std::optional<Task> TaskNamed(std::string_view name) {
  for (const auto& [task, known] : kTasks) {
    if (known == name) return task;
  }
  return std::nullopt;
}

Json ToJson(const ModelSpec& spec) {
  Json features = Json::array();
  for (const auto& feature : spec.features) {
    Json one = {{"name", feature.name},
                {"sql_type", feature.sql_type},
                {"type", TypeName(feature.type)},
                {"categorical", feature.categorical},
                {"has_missing", feature.has_missing},
                {"all_missing", feature.all_missing}};
    if (feature.categorical && feature.type == BatchType::kText) {
      one["categories"] = feature.texts;
    } else if (feature.categorical) {
      one["categories"] = feature.numbers;
    }
    features.push_back(std::move(one));
  }
  return {{"task", TaskName(spec.task)}, {"label", spec.label},     {"label_type", spec.label_type},
          {"features", features},        {"classes", spec.classes}, {"threshold", spec.threshold}};
}

Result<ModelSpec> ModelSpecFromJson(const Json& json, const std::string& file) {
  ModelSpec out;
  std::string task;
  try {
    task = json.at("task").get<std::string>();
    out.label = json.at("label").get<std::string>();
    out.label_type = json.at("label_type").get<std::string>();
    out.classes = json.at("classes").get<std::vector<std::string>>();
    out.threshold = json.at("threshold").get<double>();
    for (const auto& feature : json.at("features")) out.features.push_back(QUERN_TRY(FeatureFromJson(feature, file)));
  } catch (const Json::exception& e) {
    return Bad(file, e.what());
  }
  auto known = TaskNamed(task);
  if (!known) return Bad(file, fmt::format("unknown task '{}'", task));
  out.task = *known;
  size_t classes = out.classes.size();
  if (out.features.empty()) return Bad(file, "it names no feature");
  if ((out.task == Task::kBinary && classes != 2) || (out.task == Task::kMulticlass && classes < 2) ||
      (out.task == Task::kRegression && classes != 0)) {
    return Bad(file, fmt::format("{} classes do not fit the task {}", classes, task));
  }
  return out;
}

}  // namespace quern::ml
