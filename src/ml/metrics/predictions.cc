#include <cmath>

#include "base/text.h"
#include "ml/metrics/profile.h"
#include "ml/metrics/slices.h"

namespace quern::ml {
namespace {

std::optional<double> NumberAt(const engine::Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr && std::isfinite(*number) ? std::optional(*number) : std::nullopt;
}

// "the number lies in the bin i of [0, 1]", as numpy's edges have it; null outside.
std::string BinSql(const std::string& number, int bins) {
  std::string out;
  const double step = 1.0 / bins;
  for (int i = 1; i < bins; i++) out += fmt::format(" + CAST({} >= {} AS INTEGER)", number, DoubleSql(i * step));
  return fmt::format("CASE WHEN {0} BETWEEN 0 AND 1 THEN 0{1} END", number, out);
}

std::vector<double> BinEdges(int bins) {
  std::vector<double> out;
  for (int i = 0; i < bins; i++) out.push_back(i * (1.0 / bins));
  out.push_back(1);
  return out;
}

PredictionStatistics& Slice(std::vector<PredictionStatistics>& all, const std::string& column,
                            const engine::Value& value) {
  std::optional<std::string> text;
  if (!engine::IsNull(value)) text = engine::ToText(value);
  for (auto& one : all) {
    if (one.column == column && one.value == text) return one;
  }
  auto& out = all.emplace_back();
  out.column = column;
  out.value = std::move(text);
  return out;
}

}  // namespace

std::string PredictionStatistics::Slice() const {
  return SliceText(column, value);
}

Result<std::vector<PredictionStatistics>> DescribePredictions(engine::Connection& connection, std::string_view relation,
                                                              const PredictionSpec& spec) {
  const SliceSql slices(spec.slices);
  const bool classes = spec.task != Task::kRegression;
  const auto& column = classes ? spec.score : spec.prediction;
  const auto number =
      column.empty() ? std::string("CAST(NULL AS DOUBLE)") : fmt::format("CAST({} AS DOUBLE)", QuoteIdentifier(column));
  // The engine fails on a variance that overflows: numbers near that have none. Sums are taken in order, so that the
  // same predictions always give the same digits, whichever threads read them.
  auto numbers = QUERN_TRY(connection.Execute(fmt::format(
      "SELECT {}, count(*), avg(x ORDER BY x), CASE WHEN max(abs(x)) < 1e150 THEN var_samp(CASE WHEN abs(x) < 1e150 "
      "THEN x END ORDER BY x) END, min(x), max(x), quantile_cont(x, 0.05), quantile_cont(x, 0.25), quantile_cont(x, "
      "0.5), quantile_cont(x, 0.75), quantile_cont(x, 0.95) FROM (SELECT * REPLACE (CASE WHEN isfinite(x) THEN x + 0 "
      "END AS x) FROM (SELECT "
      "{}{} AS x FROM (\n{}\n))) GROUP BY {} ORDER BY set_number, slice_value NULLS FIRST",
      slices.select(), slices.columns(), number, relation, slices.Sets(""))));
  std::vector<PredictionStatistics> out;
  for (const auto& row : numbers.rows) {
    auto& one = Slice(out, slices.Name(std::get<int64_t>(row[0])), row[1]);
    one.rows = std::get<int64_t>(row[2]);
    one.mean = NumberAt(row[3]);
    one.variance = NumberAt(row[4]);
    one.min = NumberAt(row[5]);
    one.max = NumberAt(row[6]);
    if (!one.min) continue;
    one.quantiles = Quantiles{.p05 = *NumberAt(row[7]),
                              .p25 = *NumberAt(row[8]),
                              .p50 = *NumberAt(row[9]),
                              .p75 = *NumberAt(row[10]),
                              .p95 = *NumberAt(row[11])};
  }
  if (!classes) return out;
  for (auto& one : out) {
    if (one.min && spec.confidence_bins > 0) {
      one.confidence = Histogram{.edges = BinEdges(spec.confidence_bins), .counts = {}};
      one.confidence->counts.resize(static_cast<size_t>(spec.confidence_bins));
    }
  }
  auto counts = QUERN_TRY(connection.Execute(fmt::format(
      "SELECT {}, class, bin, count(*) FROM (SELECT * EXCLUDE (x), {} AS bin FROM (SELECT {}CAST({} AS VARCHAR) AS "
      "class, {} AS x FROM (\n{}\n))) GROUP BY {} ORDER BY set_number, slice_value NULLS FIRST",
      slices.select(), BinSql("x", std::max(1, spec.confidence_bins)), slices.columns(),
      QuoteIdentifier(spec.prediction), number, relation, slices.Sets("class, bin"))));
  for (const auto& row : counts.rows) {
    auto& one = Slice(out, slices.Name(std::get<int64_t>(row[0])), row[1]);
    const auto rows = std::get<int64_t>(row[4]);
    if (!engine::IsNull(row[2])) one.class_shares[engine::ToText(row[2])] += static_cast<double>(rows);
    if (!engine::IsNull(row[3]) && one.confidence) {
      one.confidence->counts[static_cast<size_t>(std::get<int64_t>(row[3]))] += rows;
    }
  }
  for (auto& one : out) {
    double all = 0;
    for (const auto& [name, rows] : one.class_shares) all += rows;
    for (auto& [name, rows] : one.class_shares) rows /= all;
  }
  return out;
}

}  // namespace quern::ml
