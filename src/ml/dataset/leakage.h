#pragma once
#include <string>
#include <vector>

#include "ml/dataset/binding.h"

namespace quern::ml {

/// A feature that alone tells the label nearly as well as can be: likely known only after the label.
struct LeakageFinding {
  std::string feature;
  bool by_null = false;  ///< its being missing tells the label, not its values
  std::string measure;   ///< "auc", "purity" or "r2"
  double figure = 0;
  double threshold = 0;
  std::string ToString() const;  ///< "arr_delay alone tells is_late: auc 0.999 (suspicious above 0.99)"
};

inline constexpr double kLeakageAuc = 0.99;     ///< of a feature's values or of its being missing
inline constexpr double kLeakagePurity = 0.99;  ///< for multiclass: accuracy gained over the largest class, 0 to 1
inline constexpr double kLeakageR2 = 0.99;      ///< for regression

/// Looks at every feature of `relation` (SQL of a FROM item: a table, or a query in parentheses), of many rows at those
/// of a sample by key. The figures are documented in docs/reference/ml.md. Errors: those of the engine.
Result<std::vector<LeakageFinding>> FindLeakage(const std::string& relation, const std::vector<BoundColumn>& key,
                                                const BoundColumn& label, TaskType task,
                                                const std::vector<BoundFeature>& features,
                                                engine::Connection& connection);

}  // namespace quern::ml
