#pragma once
#include "ml/metrics/column_source.h"
#include "ml/metrics/numeric_summary.h"
#include "ml/metrics/profile.h"

// Profiles from what drift reads anyway.
namespace quern::ml {

/// The quantiles that NumericSummary must have been asked for.
const std::vector<double>& ProfileQuantiles();
/// Edges of the histogram of the current values; empty without.
std::vector<double> ProfileEdges(const ValueStream& stream, const NumericSummary& summary);
/// Fills all but name, kind and type. `counts`: of the bins of ProfileEdges.
void FillNumericProfile(const ValueStream& stream, const NumericSummary& summary, std::vector<double> edges,
                        const std::vector<int64_t>& counts, FeatureProfile& out);
void FillCategoryProfile(const CategoryCounts& counts, std::vector<std::pair<std::string, int64_t>> top,
                         FeatureProfile& out);

}  // namespace quern::ml
