#include "report/model_data.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "report/report.h"

namespace quern::report {
namespace {

// Methods whose value is a p-value: drift is below the threshold.
bool IsPValue(std::string_view method) {
  static const std::set<std::string_view> kMethods = {"ks",
                                                      "chisquare",
                                                      "z",
                                                      "anderson",
                                                      "g_test",
                                                      "t_test",
                                                      "mannw",
                                                      "fisher_exact",
                                                      "empirical_mmd",
                                                      "cramer_von_mises",
                                                      "es"};
  return kMethods.contains(method);
}

template <class T, class Accept>
const T* MostRows(const std::vector<T>& all, int period, const Accept& accept) {
  const T* found = nullptr;
  for (const auto& one : all) {
    if (one.period == period && accept(one) && (found == nullptr || one.rows >= found->rows)) found = &one;
  }
  return found;
}

}  // namespace

std::optional<double> Drift::Relative() const {
  if (!value || !std::isfinite(*value)) return std::nullopt;
  double out = 0;
  if (!IsPValue(method)) {
    out = threshold > 0 ? *value / threshold : drifted ? 2 : 0;
  } else if (*value <= 0) {
    out = 1e3;
  } else if (threshold > 0 && threshold < 1) {
    out = std::log(std::min(*value, 1.0)) / std::log(threshold);
  }
  // The table's own word decides on which side of the threshold the value lies.
  return drifted ? std::clamp(out, 1.0, 1e3) : std::clamp(out, 0.0, 0.999);
}

const Performance* ModelData::Judged(int period) const {
  return MostRows(performance, period, [](const Performance& one) { return one.slice.empty(); });
}

const PredictionFigures* ModelData::Predicted(int period) const {
  return MostRows(predictions, period, [](const PredictionFigures&) { return true; });
}

const Verdict* ModelData::VerdictOf(int period) const {
  auto it = std::find_if(verdicts.rbegin(), verdicts.rend(), [&](const Verdict& v) { return v.period == period; });
  return it == verdicts.rend() ? nullptr : &*it;
}

const Decision* ModelData::DecisionOf(int period) const {
  auto it = std::find_if(decisions.rbegin(), decisions.rend(),
                         [&](const Decision& d) { return d.period && *d.period == period; });
  return it == decisions.rend() ? nullptr : &*it;
}

std::optional<double> ModelData::DriftShare(int period) const {
  // A period that two versions predicted counts as the one that predicted most of it.
  const auto* predicted = Predicted(period);
  std::map<std::string, bool> drifted;
  for (const auto& one : drift) {
    if (one.period != period || one.feature == kPredictionFeature) continue;
    if (predicted != nullptr && predicted->version && one.version && *one.version != *predicted->version) continue;
    drifted[one.feature] = one.drifted;
  }
  if (drifted.empty()) return std::nullopt;
  const auto count = std::count_if(drifted.begin(), drifted.end(), [](const auto& one) { return one.second; });
  return static_cast<double>(count) / static_cast<double>(drifted.size());
}

const Performance* ModelData::LastJudged() const {
  for (int period = static_cast<int>(periods.size()) - 1; period >= 0; --period) {
    if (const auto* found = Judged(period)) return found;
  }
  return nullptr;
}

std::optional<int64_t> ModelData::Champion() const {
  for (const auto& version : versions) {
    if (std::find(version.aliases.begin(), version.aliases.end(), "champion") != version.aliases.end())
      return version.version;
  }
  if (!versions.empty()) return std::nullopt;
  for (auto it = decisions.rbegin(); it != decisions.rend(); ++it) {
    if (it->Changes() && it->version) return it->version;
  }
  // Nothing was decided here: who predicted last.
  return predictions.empty() ? std::nullopt : predictions.back().version;
}

std::optional<Timestamp> ModelData::ChampionSince() const {
  const auto champion = Champion();
  if (!champion) return std::nullopt;
  for (auto it = decisions.rbegin(); it != decisions.rend(); ++it) {
    if (!it->Changes() || it->version != champion) continue;
    if (it->period) return periods[static_cast<size_t>(*it->period)].end;
    if (it->at) return it->at;
  }
  for (const auto& version : versions) {
    if (version.version == *champion) return version.created;
  }
  return std::nullopt;
}

void AddRegistry(std::vector<ModelData>& models, const std::vector<RegistryModel>& registry) {
  for (const auto& registered : registry) {
    auto it = std::find_if(models.begin(), models.end(),
                           [&](const ModelData& model) { return EqualsIgnoreCase(model.name, registered.name); });
    if (it == models.end()) it = models.insert(models.end(), ModelData{.name = registered.name});
    if (it->description.empty()) it->description = registered.description;
    it->versions = registered.versions;
  }
}

std::vector<std::string> MetricsToShow(ModelTask task) {
  switch (task) {
    case ModelTask::kBinary:
      return {"auc", "log_loss", "average_precision", "brier", "accuracy", "precision", "recall", "f1"};
    case ModelTask::kMulticlass:
      return {"log_loss", "accuracy", "auc", "f1", "precision", "recall"};
    case ModelTask::kRegression:
      return {"rmse", "mae", "r2", "mape", "max_error", "mean_error"};
    case ModelTask::kUnknown:
      break;
  }
  return {};
}

bool LargerIsBetter(std::string_view metric) {
  static const std::set<std::string_view> kLarger = {"accuracy", "auc", "average_precision", "precision", "recall",
                                                     "f1",       "r2"};
  return kLarger.contains(metric);
}

std::string MetricTitle(std::string_view metric) {
  static const std::map<std::string_view, std::string_view> kTitles = {{"auc", "AUC"},
                                                                       {"log_loss", "log loss"},
                                                                       {"average_precision", "average precision"},
                                                                       {"brier", "Brier"},
                                                                       {"f1", "F1"},
                                                                       {"rmse", "RMSE"},
                                                                       {"mae", "MAE"},
                                                                       {"mape", "MAPE"},
                                                                       {"r2", "R²"},
                                                                       {"max_error", "largest error"},
                                                                       {"mean_error", "mean error"}};
  auto it = kTitles.find(metric);
  return std::string(it == kTitles.end() ? metric : it->second);
}

void LabelPeriods(std::vector<Period>& periods, const TimeZone& zone) {
  std::vector<std::string> names;
  for (const auto& period : periods) names.push_back(FormatShort(zone.ToLocal(period.start)));
  names = AxisLabels(names);
  for (size_t i = 0; i < periods.size(); ++i) periods[i].label = names[i];
}

}  // namespace quern::report
