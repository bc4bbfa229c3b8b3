#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/batch.h"

// What a model takes and gives: the features with their categories, the classes. Kept as features.json.
namespace quern::ml {

enum class Task { kBinary, kMulticlass, kRegression };
inline constexpr size_t kMaxCategories = 10000;

/// "classification", "multiclass", "regression": as ml/*.yml writes it.
std::string_view TaskName(Task task);
std::optional<Task> TaskNamed(std::string_view name);

/// A raw column, as the training set had it.
struct Feature {
  std::string name;
  std::string sql_type;                               ///< "BIGINT", "VARCHAR", "DECIMAL(9,2)", ...
  engine::BatchType type = engine::BatchType::kText;  ///< what scoring takes for it; decimals as kDouble
  bool categorical = false;                           ///< always for text
  /// The categories, sorted; a category's place is its code. Texts of a text column, else numbers.
  std::vector<std::string> texts{};
  std::vector<double> numbers{};
  bool has_missing = false;  ///< some training row had no value
  bool all_missing = false;  ///< none had one: no split uses it

  size_t categories() const { return type == engine::BatchType::kText ? texts.size() : numbers.size(); }
};

struct ModelSpec {
  Task task = Task::kBinary;
  std::string label{};
  std::string label_type{};         ///< the engine's type
  std::vector<Feature> features{};  ///< in the order of the arguments of the scoring function
  /// Classes by code, as text ("false", "true"); sorted, numbers as numbers. Of a binary model [negative, positive].
  std::vector<std::string> classes{};
  double threshold = 0.5;  ///< of the score of a binary model, from which on the positive class is predicted

  /// Scores a row: the number of classes for kMulticlass, else 1.
  size_t outputs() const { return task == Task::kMulticlass ? classes.size() : 1; }
};

Json ToJson(const ModelSpec& spec);
/// Errors: kModelFile naming `file`.
Result<ModelSpec> ModelSpecFromJson(const Json& json, const std::string& file);

}  // namespace quern::ml
