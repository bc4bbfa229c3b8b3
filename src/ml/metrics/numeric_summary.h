#pragma once
#include <limits>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ml/metrics/column_source.h"
#include "ml/metrics/value_stream.h"

namespace quern::ml {

/// Count, mean and sum of squared deviations of weighted values.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;
  void Merge(const Moments& other);
};

/// What one pass over a column's values gives. The values of one relation may be none.
struct NumericSummary {
  int64_t distinct = 0;  ///< over both
  int64_t reference_distinct = 0;
  int64_t current_distinct = 0;
  double min = 0;  ///< over both, as max
  double max = 0;
  double current_min = 0;
  double current_max = 0;
  Moments reference;
  Moments current;
  double ks_distance = 0;                 ///< between the empirical distributions; 0 without values in both
  double wasserstein = 0;                 ///< the area between them
  std::vector<PairCount> pairs;           ///< empty when the reference has more than kFewValues distinct values
  PairCount first;                        ///< of the smallest value
  std::vector<double> current_quantiles;  ///< one for each asked for; empty without values
};

/// More distinct values of the reference are compared by bins, fewer value by value (Evidently).
inline constexpr int64_t kFewValues = 20;

/// `quantiles`: of the current values, within [0, 1], ascending; numpy's linear interpolation.
Result<NumericSummary> Summarise(const ValueStream& stream, const std::vector<double>& quantiles);

}  // namespace quern::ml
