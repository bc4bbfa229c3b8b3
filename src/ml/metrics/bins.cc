#include "ml/metrics/bins.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::ml {

std::optional<std::vector<double>> SturgesEdges(double min, double max, int64_t count, bool integers) {
  if (count == 0) return std::nullopt;
  const double range = max - min;
  double width = range / (std::log2(static_cast<double>(count)) + 1);
  if (min == max) {
    min -= 0.5;
    max += 0.5;
  }
  int bins = 1;
  if (width != 0) {
    if (integers && width < 1) width = 1;
    const double wanted = std::ceil((max - min) / width);
    if (!(wanted < 1000)) return std::nullopt;
    bins = std::max(1, static_cast<int>(wanted));
  }
  std::vector<double> edges;
  const double step = (max - min) / bins;
  for (int i = 0; i < bins; i++) edges.push_back(i * step + min);
  edges.push_back(max);
  for (size_t i = 1; i < edges.size(); i++) {
    if (!(edges[i - 1] < edges[i]) || !std::isfinite(edges[i])) return std::nullopt;
  }
  return edges;
}

Result<std::vector<BinCounts>> CountInBins(const ValueStream& stream, const std::vector<std::vector<double>>& edges) {
  std::vector<double> all;
  for (const auto& set : edges) {
    all.insert(all.end(), set.begin(), set.end());
    // The last edge is inside: what is below the next number.
    if (!set.empty()) all.push_back(std::nextafter(set.back(), std::numeric_limits<double>::infinity()));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  const auto below = QUERN_TRY(stream.CountBelow(all));
  const auto at = [&](double edge) {
    return below[static_cast<size_t>(std::lower_bound(all.begin(), all.end(), edge) - all.begin())];
  };
  std::vector<BinCounts> out;
  for (const auto& set : edges) {
    auto& counts = out.emplace_back();
    for (size_t i = 0; i + 1 < set.size(); i++) {
      const bool last = i + 2 == set.size();
      const auto from = at(set[i]);
      const auto to = at(last ? std::nextafter(set[i + 1], std::numeric_limits<double>::infinity()) : set[i + 1]);
      counts.reference.push_back(to.first - from.first);
      counts.current.push_back(to.second - from.second);
    }
  }
  return out;
}

}  // namespace quern::ml
