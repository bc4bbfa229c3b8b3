#include <cmath>
#include <limits>

#include "base/text.h"
#include "ml/metrics/slices.h"
#include "ml/metrics/task_performance.h"

namespace quern::ml {
namespace {

// Aggregates over rows with label y and prediction p, against p itself or a constant.
std::string Errors(const std::string& prediction) {
  const auto error = fmt::format("({} - y)", prediction);
  return fmt::format(
      "fsum({0} * {0}), fsum(abs({0})), fsum(abs({0}) / greatest(abs(y), {1})), max(abs({0})), fsum({0})", error,
      DoubleSql(std::numeric_limits<double>::epsilon()));
}

constexpr size_t kErrors = 5;

}  // namespace

Result<std::vector<Performance>> EvaluateRegression(engine::Connection& connection, std::string_view relation,
                                                    const PerformanceSpec& spec) {
  const SliceSql slices(spec.slices);
  // The engine fails on a variance that overflows: labels near that have no r2.
  auto sql = fmt::format(
      "SELECT {}, count(*), count(quern_label), count(y), min(y), max(y), var_pop(CASE WHEN abs(y) < 1e150 THEN y "
      "END), {}{}{} FROM (SELECT *, "
      "CASE WHEN isfinite(quern_label) AND isfinite(quern_prediction) THEN quern_label END AS y, CASE WHEN "
      "isfinite(quern_label) AND isfinite(quern_prediction) THEN quern_prediction END AS p FROM (SELECT {}CAST({} AS "
      "DOUBLE) AS quern_label, CAST({} AS DOUBLE) AS quern_prediction FROM (\n{}\n))) GROUP BY {} ORDER BY set_number, "
      "slice_value NULLS FIRST",
      slices.select(), Errors("p"), spec.dummy ? ", " : "", spec.dummy ? Errors(DoubleSql(spec.dummy->mean)) : "",
      slices.columns(), QuoteIdentifier(spec.label), QuoteIdentifier(spec.prediction), relation, slices.Sets(""));
  auto result = QUERN_TRY(connection.Execute(sql));
  std::vector<Performance> out;
  constexpr size_t kFirstError = 8;
  for (const auto& row : result.rows) {
    const auto whole = [&](size_t at) { return std::get<int64_t>(row[at]); };
    const auto number = [&](size_t at) { return std::get<double>(row[at]); };
    auto& performance = out.emplace_back();
    performance.column = slices.Name(whole(0));
    if (!engine::IsNull(row[1])) performance.value = engine::ToText(row[1]);
    performance.rows = whole(2);
    performance.labeled = whole(3);
    const auto n = static_cast<double>(whole(4));
    if (n == 0) continue;
    const auto fill = [&](MetricValues& values, size_t at, std::optional<double> spread) {
      values["rmse"] = std::sqrt(number(at) / n);
      values["mae"] = number(at + 1) / n;
      values["mape"] = number(at + 2) / n;
      values["max_error"] = number(at + 3);
      values["mean_error"] = number(at + 4) / n;
      if (n < 2 || !spread) return;
      if (*spread == 0) {
        values["r2"] = number(at) == 0 ? 1 : 0;
      } else {
        values["r2"] = 1 - number(at) / *spread;
      }
    };
    // Equal labels have no spread, whatever the rounding of their mean leaves.
    std::optional<double> spread;
    if (std::max(std::abs(number(5)), std::abs(number(6))) < 1e150) {
      spread = number(5) == number(6) ? 0 : number(7) * n;
    }
    fill(performance.metrics, kFirstError, spread);
    if (spec.dummy) fill(performance.dummy, kFirstError + kErrors, spread);
  }
  return out;
}

}  // namespace quern::ml
