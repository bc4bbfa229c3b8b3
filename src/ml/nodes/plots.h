#pragma once
#include <string>
#include <vector>

#include "ml/metrics/performance.h"
#include "ml/xgboost/trainer.h"

// Small pictures kept with a run, as SVG: readable in any browser, the same bytes for the same figures.
namespace quern::ml {

/// One line for each metric over the rounds.
std::string LearningCurveSvg(const std::vector<HistoryPoint>& history);
/// The features that matter most, by gain; at most 20.
std::string ImportanceSvg(const std::vector<FeatureImportance>& importance);
/// Share of positives over the mean score of each bin, and the diagonal.
std::string CalibrationSvg(const std::vector<CalibrationBin>& bins);

}  // namespace quern::ml
