#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

// What the tables monitoring.<model>_* say of a model, as plain structs: what the report, the status pages, the
// terminal and /metrics show.
namespace quern::report {

/// A metric's value where it is defined.
using Figures = std::map<std::string, std::optional<double>, std::less<>>;

struct CalibrationBin {
  double lower = 0;
  double upper = 0;
  double mean_score = 0;
  double positive_share = 0;
  int64_t rows = 0;
};

/// How good the predictions of one period, slice and model version were.
struct Performance {
  int period = 0;       ///< index into ModelData::periods
  std::string slice{};  ///< "": all rows, else "origin=JFK"
  std::optional<int64_t> version{};
  int64_t rows = 0;
  int64_t labeled = 0;
  std::optional<double> positive_share{};
  Figures metrics{};
  Figures dummy{};
  std::vector<CalibrationBin> calibration{};
};

struct Histogram {
  std::vector<double> edges{};  ///< one more than counts
  std::vector<int64_t> counts{};
};

/// What was predicted for one period, all rows.
struct PredictionFigures {
  int period = 0;
  std::optional<int64_t> version{};
  int64_t rows = 0;
  std::optional<double> mean{}, min{}, max{}, p05{}, p25{}, p50{}, p75{}, p95{};
  std::map<std::string, double> class_shares{};
  std::optional<Histogram> confidence{};
};

struct Drift {
  int period = 0;
  std::optional<int64_t> version{};
  std::string feature{};  ///< kPredictionFeature: the model's output
  std::string method{};
  std::optional<double> value{};
  double threshold = 0;
  bool drifted = false;
  int64_t reference_rows = 0;
  int64_t current_rows = 0;
  std::string note{};

  /// How far on the way to the threshold: 1 where drift begins, for distances and for p-values. Empty without a value.
  std::optional<double> Relative() const;
};
inline constexpr std::string_view kPredictionFeature = "prediction";

/// A feature in the last period.
struct FeatureProfile {
  std::string feature{};
  std::string type{};
  int64_t rows = 0;
  std::optional<double> null_rate{};
  std::optional<int64_t> cardinality{};
  std::optional<double> mean{}, stddev{}, min{}, p50{}, max{};
};

/// Whether the rule asked for a retraining.
struct Verdict {
  int period = 0;
  bool retrain = false;
  std::string expression{};
  std::string reason{};
  std::string dag_run{};
  std::optional<int64_t> version{};  ///< judged
};

struct Candidate {
  std::string name{};
  std::string run_id{};
  std::string frame{};
  std::map<std::string, std::string> parameters{};
  std::optional<int64_t> rows{};
  Figures metrics{};      ///< on the evaluation data
  Figures dummy{};        ///< the baseline on the same data
  std::string blocked{};  ///< which requirement it does not meet
};

struct Decision {
  std::optional<int> period{};  ///< none for one by hand
  std::string decision{};       ///< promoted, rejected, blocked, manual, rollback, rerun
  std::string candidate{};
  std::string run_id{};
  std::optional<int64_t> version{};
  std::optional<int64_t> champion_before{};
  std::string metric{};
  std::optional<double> candidate_value{}, champion_value{}, dummy_value{};
  std::string reason{};
  std::string decided_by{};
  std::optional<Timestamp> at{};
  std::vector<Candidate> candidates{};

  bool Changes() const { return decision == "promoted" || decision == "manual" || decision == "rollback"; }
};

/// A version in the registry of models.
struct RegistryVersion {
  int64_t version = 0;
  Timestamp created{};
  std::string run_id{};
  std::string status{};
  std::string description{};
  std::vector<std::string> aliases{};
};

struct RegistryModel {
  std::string name{};
  std::string description{};
  std::vector<RegistryVersion> versions{};  ///< newest first
};

enum class ModelTask { kUnknown, kBinary, kMulticlass, kRegression };

struct Period {
  Timestamp start{};
  Timestamp end{};
  std::string label{};  ///< as short as tells the periods apart: "2013-05"
};

struct ModelData {
  std::string name{};
  std::string description{};
  ModelTask task = ModelTask::kUnknown;
  std::vector<Period> periods{};  ///< oldest first; what follows is ordered by period
  std::vector<Performance> performance{};
  std::vector<PredictionFigures> predictions{};
  std::vector<Drift> drift{};             ///< each feature's default method
  std::vector<FeatureProfile> profile{};  ///< of the last period that has one
  std::vector<Verdict> verdicts{};
  std::vector<Decision> decisions{};          ///< oldest first
  std::vector<RegistryVersion> versions{};    ///< newest first
  std::map<std::string, int64_t> decided{};   ///< decision -> how many ever
  std::optional<int64_t> retrainings{};       ///< verdicts that asked for one, ever
  std::optional<int64_t> predictions_ever{};  ///< rows in the table of predictions
  std::vector<std::string> problems{};        ///< tables that could not be read, and why
  int periods_left_out = 0;                   ///< older ones that are there

  /// All rows of a period, of the version that predicted most of it; null when the period was not judged.
  const Performance* Judged(int period) const;
  /// Likewise.
  const PredictionFigures* Predicted(int period) const;
  const Verdict* VerdictOf(int period) const;
  /// The last decision of a period.
  const Decision* DecisionOf(int period) const;
  /// Share of the features (without the prediction) that drifted.
  std::optional<double> DriftShare(int period) const;
  /// The newest judged period.
  const Performance* LastJudged() const;
  std::optional<int64_t> Champion() const;
  std::optional<Timestamp> ChampionSince() const;
  bool empty() const { return periods.empty() && decisions.empty() && versions.empty(); }
};

/// Gives each model its versions of the registry; registered models that `models` lacks are added.
void AddRegistry(std::vector<ModelData>& models, const std::vector<RegistryModel>& registry);

/// Metrics of a task in the order to show them, the two that matter most first.
std::vector<std::string> MetricsToShow(ModelTask task);
bool LargerIsBetter(std::string_view metric);
/// "AUC", "log loss", "RMSE".
std::string MetricTitle(std::string_view metric);

/// Gives each period its label, in a zone.
void LabelPeriods(std::vector<Period>& periods, const TimeZone& zone);

}  // namespace quern::report
