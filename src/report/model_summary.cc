#include "report/model_summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/html.h"

namespace quern::report {
namespace {

std::string Beside(const Performance* judged, const std::string& metric) {
  if (judged == nullptr) return "";
  auto of = [&](const Figures& figures) {
    auto it = figures.find(metric);
    return it == figures.end() ? std::optional<double>() : it->second;
  };
  const auto value = of(judged->metrics), dummy = of(judged->dummy);
  if (!value) return "–";
  return ShortNumber(*value) + (dummy ? fmt::format(" ({})", ShortNumber(*dummy)) : "");
}

}  // namespace

SummaryTable SummariseModel(const ModelData& model, size_t most) {
  auto metrics = MetricsToShow(model.task);
  if (metrics.size() > 2) metrics.resize(2);
  SummaryTable out{.columns = {"period", "champion"}, .numbers = {false, false}, .rows = {}};
  for (const auto& metric : metrics) {
    out.columns.push_back(MetricTitle(metric) + " (dummy)");
    out.numbers.push_back(true);
  }
  for (const char* name : {"drifted", "retraining", "why"}) {
    out.columns.emplace_back(name);
    out.numbers.push_back(std::string_view(name) == "drifted");
  }
  const auto count = model.periods.size();
  for (size_t i = count > most ? count - most : 0; i < count; ++i) {
    const int period = static_cast<int>(i);
    const auto* judged = model.Judged(period);
    const auto* predicted = model.Predicted(period);
    const auto version = judged ? judged->version : predicted ? predicted->version : std::nullopt;
    std::vector<std::string> row = {model.periods[i].label, version ? fmt::format("v{}", *version) : "–"};
    for (const auto& metric : metrics) row.push_back(Beside(judged, metric));
    const auto share = model.DriftShare(period);
    row.push_back(share ? Percent(*share) : "");
    const auto* verdict = model.VerdictOf(period);
    const auto* decision = model.DecisionOf(period);
    row.push_back(decision  ? decision->decision + (decision->version ? fmt::format(" v{}", *decision->version) : "")
                  : verdict ? verdict->retrain ? "asked for" : "no"
                            : "");
    row.push_back(decision && !decision->reason.empty() ? decision->reason : verdict ? verdict->reason : "");
    out.rows.push_back(std::move(row));
  }
  // A column that says nothing is left out (a model without a rule, or whose drift is not looked at).
  for (size_t i = out.columns.size(); i-- > 2;) {
    if (std::any_of(out.rows.begin(), out.rows.end(), [&](const auto& row) { return !row[i].empty(); })) continue;
    out.columns.erase(out.columns.begin() + static_cast<std::ptrdiff_t>(i));
    out.numbers.erase(out.numbers.begin() + static_cast<std::ptrdiff_t>(i));
    for (auto& row : out.rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return out;
}

std::string SummaryLine(const ModelData& model) {
  const auto champion = model.Champion();
  std::string out =
      fmt::format("{}: {}", model.name, champion ? fmt::format("champion v{}", *champion) : "no champion");
  if (model.retrainings) {
    std::vector<std::string> counts;
    for (const auto& [decision, count] : model.decided) counts.push_back(fmt::format("{} {}", count, decision));
    out += fmt::format("; {} {}", *model.retrainings, *model.retrainings == 1 ? "retraining" : "retrainings");
    if (!counts.empty()) out += ": " + Join(counts, ", ");
  }
  return out;
}

}  // namespace quern::report
