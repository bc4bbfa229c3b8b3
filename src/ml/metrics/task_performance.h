#pragma once
#include "ml/metrics/performance.h"

// Evaluate() by task; see performance.h.
namespace quern::ml {

Result<std::vector<Performance>> EvaluateBinary(engine::Connection& connection, std::string_view relation,
                                                const PerformanceSpec& spec);
Result<std::vector<Performance>> EvaluateMulticlass(engine::Connection& connection, std::string_view relation,
                                                    const PerformanceSpec& spec);
Result<std::vector<Performance>> EvaluateRegression(engine::Connection& connection, std::string_view relation,
                                                    const PerformanceSpec& spec);

/// 0 where the denominator is: scikit-learn's zero_division by default.
inline double Share(double part, double whole) {
  return whole == 0 ? 0 : part / whole;
}
/// A probability in the bounds that scikit-learn's log_loss gives it.
double ClipProbability(double p);

}  // namespace quern::ml
