#include "ml/metrics/profile.h"

#include <cmath>

#include "ml/metrics/bins.h"
#include "ml/metrics/column_source.h"
#include "ml/metrics/feature_profile.h"

namespace quern::ml {
namespace {
std::optional<double> Finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void FillCounts(const ColumnCounts& counts, FeatureProfile& out) {
  out.rows = counts.rows;
  out.nulls = counts.nulls;
  out.null_rate = counts.rows == 0 ? 0 : static_cast<double>(counts.nulls) / static_cast<double>(counts.rows);
}
}  // namespace

const std::vector<double>& ProfileQuantiles() {
  static const std::vector<double> kQuantiles = {0.05, 0.25, 0.5, 0.75, 0.95};
  return kQuantiles;
}

std::vector<double> ProfileEdges(const ValueStream& stream, const NumericSummary& summary) {
  return SturgesEdges(summary.current_min, summary.current_max, stream.current.values(), stream.integers)
      .value_or(std::vector<double>{});
}

void FillNumericProfile(const ValueStream& stream, const NumericSummary& summary, std::vector<double> edges,
                        const std::vector<int64_t>& counts, FeatureProfile& out) {
  FillCounts(stream.current, out);
  out.cardinality = summary.current_distinct;
  if (summary.current.count == 0) return;
  out.mean = Finite(summary.current.mean);
  if (summary.current.count > 1) out.stddev = Finite(std::sqrt(summary.current.squares / (summary.current.count - 1)));
  out.min = summary.current_min;
  out.max = summary.current_max;
  const auto& q = summary.current_quantiles;
  out.quantiles = Quantiles{.p05 = q[0], .p25 = q[1], .p50 = q[2], .p75 = q[3], .p95 = q[4]};
  if (!edges.empty()) out.histogram = Histogram{.edges = std::move(edges), .counts = counts};
}

void FillCategoryProfile(const CategoryCounts& counts, std::vector<std::pair<std::string, int64_t>> top,
                         FeatureProfile& out) {
  FillCounts(counts.current, out);
  for (const auto& pair : counts.pairs) out.cardinality += pair.current > 0 ? pair.values : 0;
  out.top = std::move(top);
}

Result<std::vector<FeatureProfile>> ProfileFeatures(engine::Connection& connection, std::string_view relation,
                                                    const std::vector<FeatureColumn>& features,
                                                    const ColumnOptions& options) {
  const auto current = QUERN_TRY(DescribeRelation(connection, relation));
  const Relation none;
  std::vector<FeatureProfile> out(features.size());
  for (size_t i = 0; i < features.size(); i++) {
    out[i].name = features[i].name;
    out[i].kind = features[i].kind;
    const auto* column = current.Find(features[i].name);
    if (column == nullptr) continue;
    out[i].type = column->type;
    if (features[i].kind == ColumnKind::kNumeric && IsNumber(column->type)) continue;
    const auto counts = QUERN_TRY(CountCategories(connection, none, current, features[i].name));
    FillCategoryProfile(counts, {}, out[i]);
    if (features[i].kind == ColumnKind::kNumeric) continue;
    out[i].top = QUERN_TRY(TopCategories(connection, current, features[i].name, options.top));
  }
  QUERN_TRY(ForEachNumericColumn(connection, none, current, features, options,
                                 [&](size_t place, const ValueStream& stream) -> Result<void> {
                                   const auto summary = QUERN_TRY(Summarise(stream, ProfileQuantiles()));
                                   auto edges = ProfileEdges(stream, summary);
                                   const auto counts = QUERN_TRY(CountInBins(stream, {edges}));
                                   FillNumericProfile(stream, summary, std::move(edges), counts[0].current, out[place]);
                                   return {};
                                 }));
  return out;
}

}  // namespace quern::ml
