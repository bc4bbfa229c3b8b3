#include <algorithm>
#include <functional>

#include "server/metric_families.h"

namespace quern::server {
namespace {

using prometheus::MetricType;
using report::ModelData;

double Seconds(Timestamp t) {
  return static_cast<double>(MicrosSinceEpoch(t)) / 1e6;
}

struct Sample {
  double value = 0;
  Labels labels;
};

// One family over all models.
void AddFamily(Families& families, const std::vector<ModelData>& models, const std::string& name,
               const std::string& help, MetricType type,
               const std::function<std::vector<Sample>(const ModelData&)>& of) {
  std::vector<Sample> samples;
  for (const auto& model : models) {
    for (auto& sample : of(model)) {
      sample.labels.insert(sample.labels.begin(), {"model", model.name});
      samples.push_back(std::move(sample));
    }
  }
  if (samples.empty()) return;
  auto& family = families.New(name, help, type);
  for (auto& sample : samples) Families::Add(family, sample.value, std::move(sample.labels));
}

std::vector<Sample> One(const std::optional<double>& value) {
  return value ? std::vector<Sample>{{*value, {}}} : std::vector<Sample>{};
}

std::optional<double> AsDouble(const std::optional<int64_t>& value) {
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

// The newest period for which `has` holds.
std::optional<int> Newest(const ModelData& model, const std::function<bool(int)>& has) {
  for (int i = static_cast<int>(model.periods.size()) - 1; i >= 0; --i) {
    if (has(i)) return i;
  }
  return std::nullopt;
}

std::vector<Sample> FeatureDrift(const ModelData& model, bool flags) {
  auto period = Newest(model, [&](int i) {
    return std::any_of(model.drift.begin(), model.drift.end(), [&](const auto& one) { return one.period == i; });
  });
  std::vector<Sample> out;
  if (!period) return out;
  const auto* predicted = model.Predicted(*period);
  for (const auto& one : model.drift) {
    if (one.period != *period) continue;
    if (predicted != nullptr && predicted->version && one.version && one.version != predicted->version) continue;
    if (flags)
      out.push_back({one.drifted ? 1.0 : 0.0, {{"feature", one.feature}}});
    else if (one.value)
      out.push_back({*one.value, {{"feature", one.feature}, {"method", one.method}}});
  }
  return out;
}

std::optional<double> Decided(const ModelData& model, std::initializer_list<const char*> decisions) {
  if (model.decided.empty() && !model.retrainings) return std::nullopt;
  double out = 0;
  for (const char* decision : decisions) {
    if (auto it = model.decided.find(decision); it != model.decided.end()) out += static_cast<double>(it->second);
  }
  return out;
}

}  // namespace

void AddModels(Families& families, const std::vector<ModelData>& models, Timestamp now) {
  for (const char* metric : {"accuracy", "auc", "average_precision", "log_loss", "brier", "precision", "recall", "f1",
                             "rmse", "mae", "mape", "r2", "max_error", "mean_error"}) {
    AddFamily(families, models, std::string("ml_model_") + metric,
              report::MetricTitle(metric) + " of the newest judged period, of the model and of the dummy baseline.",
              MetricType::Gauge, [&](const ModelData& model) {
                std::vector<Sample> out;
                const auto* last = model.LastJudged();
                if (last == nullptr) return out;
                for (const auto& [predictor, figures] :
                     {std::pair{"model", &last->metrics}, std::pair{"dummy", &last->dummy}}) {
                  auto it = figures->find(metric);
                  if (it != figures->end() && it->second) out.push_back({*it->second, {{"predictor", predictor}}});
                }
                return out;
              });
  }
  AddFamily(families, models, "ml_model_labeled_rows", "Rows with a label in the newest judged period.",
            MetricType::Gauge, [](const ModelData& model) {
              const auto* last = model.LastJudged();
              return One(last ? std::optional(static_cast<double>(last->labeled)) : std::nullopt);
            });
  AddFamily(families, models, "ml_model_positive_share",
            "Share of the positive class among the labels of the newest judged period.", MetricType::Gauge,
            [](const ModelData& model) {
              const auto* last = model.LastJudged();
              return One(last ? last->positive_share : std::nullopt);
            });
  AddFamily(
      families, models, "ml_model_period_end_timestamp_seconds", "End of the newest judged period.", MetricType::Gauge,
      [](const ModelData& model) {
        const auto* last = model.LastJudged();
        return One(last ? std::optional(Seconds(model.periods[static_cast<size_t>(last->period)].end)) : std::nullopt);
      });
  auto predicted = [](const ModelData& model) -> const report::PredictionFigures* {
    auto period = Newest(model, [&](int i) { return model.Predicted(i) != nullptr; });
    return period ? model.Predicted(*period) : nullptr;
  };
  AddFamily(families, models, "ml_model_prediction_mean",
            "Mean score, or mean prediction of a regression, of the newest period.", MetricType::Gauge,
            [&](const ModelData& model) {
              const auto* figures = predicted(model);
              return One(figures ? figures->mean : std::nullopt);
            });
  AddFamily(families, models, "ml_model_prediction_rows", "Predictions of the newest period.", MetricType::Gauge,
            [&](const ModelData& model) {
              const auto* figures = predicted(model);
              return One(figures ? std::optional(static_cast<double>(figures->rows)) : std::nullopt);
            });
  AddFamily(families, models, "ml_model_predictions", "Rows in the table of predictions.", MetricType::Gauge,
            [](const ModelData& model) { return One(AsDouble(model.predictions_ever)); });
  AddFamily(families, models, "ml_model_drift_share", "Share of the features that drifted in the newest period.",
            MetricType::Gauge, [](const ModelData& model) {
              auto period = Newest(model, [&](int i) { return model.DriftShare(i).has_value(); });
              return One(period ? model.DriftShare(*period) : std::nullopt);
            });
  AddFamily(families, models, "ml_model_feature_drift",
            "Drift of a feature in the newest period, by the method that fits it.", MetricType::Gauge,
            [](const ModelData& model) { return FeatureDrift(model, false); });
  AddFamily(families, models, "ml_model_feature_drifted", "1 for a feature that drifted in the newest period, else 0.",
            MetricType::Gauge, [](const ModelData& model) { return FeatureDrift(model, true); });
  AddFamily(families, models, "ml_model_champion_version", "Version of the registry that predicts.", MetricType::Gauge,
            [](const ModelData& model) { return One(AsDouble(model.Champion())); });
  AddFamily(families, models, "ml_model_age_seconds", "Time since the end of the interval whose run made the champion.",
            MetricType::Gauge, [&](const ModelData& model) {
              auto since = model.ChampionSince();
              return One(since ? std::optional(Seconds(now) - Seconds(*since)) : std::nullopt);
            });
  AddFamily(families, models, "model_retraining_triggered_total", "Runs that asked for a retraining.",
            MetricType::Counter, [](const ModelData& model) { return One(AsDouble(model.retrainings)); });
  AddFamily(families, models, "model_retraining_promoted_total", "Retrainings whose best candidate became champion.",
            MetricType::Counter, [](const ModelData& model) { return One(Decided(model, {"promoted"})); });
  AddFamily(families, models, "model_retraining_rejected_total",
            "Retrainings after which the champion stayed: not better, or blocked by a requirement.",
            MetricType::Counter, [](const ModelData& model) { return One(Decided(model, {"rejected", "blocked"})); });
}

}  // namespace quern::server
