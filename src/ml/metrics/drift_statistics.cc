#include "ml/metrics/drift_statistics.h"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "ml/metrics/slices.h"

namespace quern::ml {
namespace {

std::optional<double> Finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

struct SharePair {
  double reference = 0;
  double current = 0;
  double values = 0;
};

std::vector<SharePair> Shares(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  std::vector<SharePair> out;
  for (const auto& pair : pairs) {
    out.push_back({.reference = static_cast<double>(pair.reference) / static_cast<double>(n1),
                   .current = static_cast<double>(pair.current) / static_cast<double>(n2),
                   .values = static_cast<double>(pair.values)});
  }
  return out;
}

// Zero shares become 0.0001, or a millionth of the least share where that is not above 0.0001.
void FillZeros(std::vector<SharePair>& shares, double SharePair::* side) {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& share : shares) {
    if (share.*side > 0) least = std::min(least, share.*side);
  }
  const double fill = least <= 0.0001 ? least / 1e6 : 0.0001;
  for (auto& share : shares) {
    if (share.*side == 0) share.*side = fill;
  }
}

std::vector<SharePair> FilledShares(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  auto out = Shares(pairs, n1, n2);
  FillZeros(out, &SharePair::reference);
  FillZeros(out, &SharePair::current);
  return out;
}

// Makes both sides sum to 1.
void Normalise(std::vector<SharePair>& shares) {
  Sum reference;
  Sum current;
  for (const auto& share : shares) {
    reference.Add(share.reference * share.values);
    current.Add(share.current * share.values);
  }
  for (auto& share : shares) {
    share.reference /= reference.Get();
    share.current /= current.Get();
  }
}

// x log(x / y), without cancellation where they are near.
double RelativeEntropy(double x, double y) {
  if (x == 0) return 0;
  const double ratio = x / y;
  return ratio > 0.5 && ratio < 2 ? x * std::log1p((x - y) / y) : x * std::log(ratio);
}

}  // namespace

std::optional<double> Psi(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  Sum sum;
  for (const auto& share : FilledShares(pairs, n1, n2)) {
    sum.Add(share.values * (share.reference - share.current) * std::log(share.reference / share.current));
  }
  return Finite(sum.Get());
}

std::optional<double> KlDivergence(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  auto shares = FilledShares(pairs, n1, n2);
  Normalise(shares);
  Sum sum;
  for (const auto& share : shares) sum.Add(share.values * RelativeEntropy(share.reference, share.current));
  return Finite(sum.Get());
}

std::optional<double> JensenShannon(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  auto shares = Shares(pairs, n1, n2);
  Normalise(shares);
  Sum sum;
  for (const auto& share : shares) {
    const double middle = (share.reference + share.current) / 2;
    sum.Add(share.values * RelativeEntropy(share.reference, middle));
    sum.Add(share.values * RelativeEntropy(share.current, middle));
  }
  // Rounding may leave less than nothing of equal distributions.
  return Finite(std::sqrt(std::max(0.0, sum.Get()) / 2));
}

std::optional<double> ChiSquareP(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  const double scale = static_cast<double>(n2) / static_cast<double>(n1);
  double degrees = -1;
  Sum statistic;
  for (const auto& pair : pairs) {
    degrees += static_cast<double>(pair.values);
    // What the reference never had is infinitely unlikely.
    if (pair.reference == 0) return 0;
    const double expected = static_cast<double>(pair.reference) * scale;
    const double difference = static_cast<double>(pair.current) - expected;
    statistic.Add(static_cast<double>(pair.values) * difference * difference / expected);
  }
  if (degrees <= 0) return std::nullopt;
  return Finite(boost::math::gamma_q(degrees / 2, statistic.Get() / 2));
}

std::optional<double> HellingerOfCategories(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2) {
  Sum sum;
  for (const auto& share : Shares(pairs, n1, n2)) sum.Add(share.values * std::sqrt(share.reference * share.current));
  return Finite(std::sqrt(1 - std::clamp(sum.Get(), 0.0, 1.0)));
}

std::optional<double> HellingerOfBins(const std::vector<double>& edges, const BinCounts& counts) {
  int64_t n1 = 0;
  int64_t n2 = 0;
  for (const auto count : counts.reference) n1 += count;
  for (const auto count : counts.current) n2 += count;
  const double width = (edges.back() - edges.front()) / static_cast<double>(edges.size() - 1);
  double sum = 0;
  // In numpy's order of operations: near 0 the root makes much of the last digits.
  for (size_t i = 0; i + 1 < edges.size(); i++) {
    const double bin = edges[i + 1] - edges[i];
    const double first = static_cast<double>(counts.reference[i]) / bin / static_cast<double>(n1);
    const double second = static_cast<double>(counts.current[i]) / bin / static_cast<double>(n2);
    sum += std::sqrt(first * second) * width;
  }
  return Finite(std::sqrt(1 - std::clamp(sum, 0.0, 1.0)));
}

std::optional<double> ZTestP(const PairCount& smallest, bool same_single, int64_t n1, int64_t n2) {
  if (same_single) return 1;
  const auto first = static_cast<double>(n1);
  const auto second = static_cast<double>(n2);
  const double p1 = (first - static_cast<double>(smallest.reference)) / first;
  const double p2 = (second - static_cast<double>(smallest.current)) / second;
  const double p = (p1 * first + p2 * second) / (first + second);
  const double z = std::abs(p1 - p2) / std::sqrt(p * (1 - p) * (1 / first + 1 / second));
  return Finite(std::erfc(z / std::numbers::sqrt2));
}

std::vector<PairCount> PairsOf(const BinCounts& counts) {
  std::vector<PairCount> out;
  for (size_t i = 0; i < counts.reference.size(); i++) {
    out.push_back({.reference = counts.reference[i], .current = counts.current[i], .values = 1});
  }
  return out;
}

}  // namespace quern::ml
