#pragma once
#include <optional>
#include <vector>

#include "base/result.h"
#include "ml/metrics/profile.h"
#include "ml/metrics/value_stream.h"

namespace quern::ml {

/// numpy.histogram_bin_edges(bins="sturges") of `count` values between min and max. `integers`: their type is one, so
/// that no bin is narrower than 1. Empty where numpy raises (a range too narrow or too wide for a double), or count is
/// 0.
std::optional<std::vector<double>> SturgesEdges(double min, double max, int64_t count, bool integers);

/// Values of each relation in each bin, the last bin with its end.
struct BinCounts {
  std::vector<int64_t> reference;
  std::vector<int64_t> current;
};

/// Counts for several sets of edges in one pass. A value outside of the edges is counted nowhere.
Result<std::vector<BinCounts>> CountInBins(const ValueStream& stream, const std::vector<std::vector<double>>& edges);

}  // namespace quern::ml
