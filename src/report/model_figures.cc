#include "report/model_figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/charts.h"
#include "report/html.h"

namespace quern::report {
namespace {

class FigureRenderer {
 public:
  FigureRenderer(const ModelData& model, const std::vector<std::string>& metrics) : model_(model), metrics_(metrics) {
    for (const auto& period : model.periods) labels_.push_back(period.label);
  }

  std::string Draw() const {
    std::string figures;
    for (size_t i = 0; i < std::min<size_t>(metrics_.size(), 2); ++i) {
      const auto& metric = metrics_[i];
      auto of = [&](int period, bool dummy) -> std::optional<double> {
        const auto* judged = model_.Judged(period);
        return judged ? FigureOf(dummy ? judged->dummy : judged->metrics, metric) : std::nullopt;
      };
      figures +=
          DrawLines({.title = MetricTitle(metric) + (LargerIsBetter(metric) ? ", more is better" : ", less is better"),
                     .labels = labels_,
                     .series = {{"model", "c0", OverPeriods([&](int p) { return of(p, false); })},
                                {"dummy", "c7", OverPeriods([&](int p) { return of(p, true); }), true}},
                     .marks = VersionMarks(),
                     .floor = {}});
    }
    return figures + ClassBalance() + Calibration() + Distribution();
  }

 private:
  std::vector<std::optional<double>> OverPeriods(const auto& of) const {
    std::vector<std::optional<double>> out;
    for (int i = 0; i < periods(); ++i) out.push_back(of(i));
    return out;
  }
  std::vector<std::string> VersionMarks() const {
    std::vector<std::string> out;
    for (int i = 0; i < periods(); ++i) {
      const auto* judged = model_.Judged(i);
      const auto* predicted = model_.Predicted(i);
      out.push_back(judged ? VersionName(judged->version) : predicted ? VersionName(predicted->version) : "");
    }
    return out;
  }

  std::string ClassBalance() const {
    if (model_.task == ModelTask::kBinary) {
      auto actual = OverPeriods([&](int p) {
        const auto* judged = model_.Judged(p);
        return judged ? judged->positive_share : std::nullopt;
      });
      auto predicted = OverPeriods([&](int p) -> std::optional<double> {
        const auto* judged = model_.Judged(p);
        if (judged == nullptr) return std::nullopt;
        double positive = 0, all = 0;
        for (const char* name : {"tp", "fp", "tn", "fn"}) {
          auto count = FigureOf(judged->metrics, name);
          if (!count) return std::nullopt;
          all += *count;
          if (std::string_view(name).ends_with("p")) positive += *count;
        }
        return all > 0 ? std::optional(positive / all) : std::nullopt;
      });
      auto mean = OverPeriods([&](int p) {
        const auto* figures = model_.Predicted(p);
        return figures ? figures->mean : std::nullopt;
      });
      return DrawLines({.title = "class balance: share of the positive class",
                        .labels = labels_,
                        .series = {{"labels", "c2", std::move(actual), false, true},
                                   {"mean score", "c0", std::move(mean), false, true},
                                   {"predicted positive", "c1", std::move(predicted), false, true}},
                        .marks = {},
                        .floor = 0});
    }
    if (model_.task != ModelTask::kMulticlass) return "";
    std::map<std::string, double> total;
    for (const auto& one : model_.predictions) {
      for (const auto& [name, share] : one.class_shares) total[name] += share;
    }
    std::vector<std::pair<std::string, double>> ranked(total.begin(), total.end());
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    ShareChart chart{.title = "class balance: predicted classes", .labels = labels_, .series = {}};
    for (size_t i = 0; i < std::min<size_t>(ranked.size(), 7); ++i) {
      chart.series.push_back({ranked[i].first, fmt::format("c{}", i), OverPeriods([&](int p) -> std::optional<double> {
                                const auto* figures = model_.Predicted(p);
                                if (figures == nullptr) return std::nullopt;
                                auto it = figures->class_shares.find(ranked[i].first);
                                return it == figures->class_shares.end() ? std::nullopt : std::optional(it->second);
                              })});
    }
    return DrawShares(chart);
  }

  std::string Calibration() const {
    const auto* last = model_.LastJudged();
    if (last == nullptr) return "";
    // All periods together, each bin's figures weighted by its rows.
    std::map<double, CalibrationBin> all;
    for (int period = 0; period < periods(); ++period) {
      const auto* judged = model_.Judged(period);
      if (judged == nullptr) continue;
      for (const auto& bin : judged->calibration) {
        auto& sum = all[bin.lower];
        const auto rows = static_cast<double>(std::max<int64_t>(bin.rows, 0));
        sum.mean_score += bin.mean_score * rows;
        sum.positive_share += bin.positive_share * rows;
        sum.rows += bin.rows;
      }
    }
    SquareChart chart{
        .title = "calibration", .x_title = "mean score", .y_title = "share that was positive", .groups = {}};
    auto point = [](double score, double share, int64_t rows) {
      return Point{
          score, share, static_cast<double>(rows),
          fmt::format("score {}, positive {}, {} rows", ShortNumber(score), Percent(share), FormatCount(rows))};
    };
    SquareChart::Group together{"all periods", "c0", {}}, newest{Label(last->period), "c1", {}};
    for (const auto& [lower, bin] : all) {
      if (bin.rows <= 0) continue;
      const auto rows = static_cast<double>(bin.rows);
      together.points.push_back(point(bin.mean_score / rows, bin.positive_share / rows, bin.rows));
    }
    for (const auto& bin : last->calibration)
      newest.points.push_back(point(bin.mean_score, bin.positive_share, bin.rows));
    if (together.points.empty()) return "";
    chart.groups = {together, newest};
    return DrawSquare(chart);
  }

  std::string Distribution() const {
    BandChart bands{.title = model_.task == ModelTask::kRegression ? "predictions" : "predicted scores",
                    .labels = labels_,
                    .bands = {}};
    for (int i = 0; i < periods(); ++i) {
      const auto* figures = model_.Predicted(i);
      bands.bands.push_back(figures ? Band{figures->p05, figures->p25, figures->p50, figures->p75, figures->p95}
                                    : Band{});
    }
    std::string out = DrawBands(bands);
    for (int i = periods() - 1; i >= 0; --i) {
      const auto* figures = model_.Predicted(i);
      if (figures == nullptr || !figures->confidence) continue;
      BarChart bars{
          .title = "scores in " + Label(i), .edges = figures->confidence->edges, .values = {}, .unit = "rows"};
      for (auto count : figures->confidence->counts) bars.values.push_back(static_cast<double>(count));
      return out + DrawBars(bars);
    }
    return out;
  }

  const std::string& Label(int period) const { return labels_[static_cast<size_t>(period)]; }
  int periods() const { return static_cast<int>(labels_.size()); }

  const ModelData& model_;
  const std::vector<std::string>& metrics_;
  std::vector<std::string> labels_;
};

}  // namespace

std::string VersionName(std::optional<int64_t> version) {
  return version ? fmt::format("v{}", *version) : "";
}

std::optional<double> FigureOf(const Figures& figures, std::string_view metric) {
  auto it = figures.find(metric);
  return it == figures.end() ? std::nullopt : it->second;
}

std::string QualityFigures(const ModelData& model, const std::vector<std::string>& metrics) {
  return FigureRenderer(model, metrics).Draw();
}

}  // namespace quern::report
