#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/model_data.h"

namespace quern::report {

/// A model's charts as <figure> elements: its two first `metrics` beside the dummy's, class balance, calibration, and
/// how its predictions are spread. "" when there is nothing to draw.
std::string QualityFigures(const ModelData& model, const std::vector<std::string>& metrics);

/// "v3"; "" for nothing.
std::string VersionName(std::optional<int64_t> version);
std::optional<double> FigureOf(const Figures& figures, std::string_view metric);

}  // namespace quern::report
