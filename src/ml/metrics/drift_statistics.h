#pragma once
#include <optional>
#include <vector>

#include "ml/metrics/bins.h"
#include "ml/metrics/column_source.h"

// Evidently's drift figures from counts. n1, n2: values of the reference and the current column, both > 0; a pair is a
// category or a bin. What is not defined is empty.
namespace quern::ml {

std::optional<double> Psi(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2);
std::optional<double> KlDivergence(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2);
std::optional<double> JensenShannon(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2);
std::optional<double> ChiSquareP(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2);
std::optional<double> HellingerOfCategories(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2);
std::optional<double> HellingerOfBins(const std::vector<double>& edges, const BinCounts& counts);
/// Of the share of values other than the smallest. `same_single`: both have one value, the same.
std::optional<double> ZTestP(const PairCount& smallest, bool same_single, int64_t n1, int64_t n2);

/// One pair a bin.
std::vector<PairCount> PairsOf(const BinCounts& counts);

}  // namespace quern::ml
