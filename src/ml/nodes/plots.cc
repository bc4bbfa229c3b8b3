#include "ml/nodes/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace quern::ml {
namespace {

constexpr double kWidth = 640, kHeight = 360, kLeft = 70, kBottom = 40, kTop = 20, kRight = 20;
constexpr const char* kColours[] = {"#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#0891b2"};

std::string Escape(std::string text) {
  text = ReplaceAll(std::move(text), "&", "&amp;");
  text = ReplaceAll(std::move(text), "<", "&lt;");
  return ReplaceAll(std::move(text), ">", "&gt;");
}

std::string Open(double height = kHeight) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, height);
}

std::string Label(double x, double y, const std::string& text, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"#333\">{}</text>\n", x, y, anchor,
                     Escape(text));
}

// The plane of a plot: data ranges to pixels.
struct Plane {
  double x0, x1, y0, y1;
  double X(double x) const { return kLeft + (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5) * (kWidth - kLeft - kRight); }
  double Y(double y) const {
    return kHeight - kBottom - (y1 > y0 ? (y - y0) / (y1 - y0) : 0.5) * (kHeight - kTop - kBottom);
  }
  std::string Axes(const std::string& x_label) const {
    std::string out;
    for (int i = 0; i <= 4; ++i) {
      const double y = y0 + (y1 - y0) * i / 4, x = x0 + (x1 - x0) * i / 4;
      out += fmt::format("<line x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>\n", kLeft,
                         kWidth - kRight, Y(y));
      out += Label(kLeft - 6, Y(y) + 4, fmt::format("{:.4g}", y), "end");
      out += Label(X(x), kHeight - kBottom + 16, fmt::format("{:.4g}", x), "middle");
    }
    return out + Label((kLeft + kWidth - kRight) / 2, kHeight - 6, x_label, "middle");
  }
};

std::string Line(const std::vector<std::pair<double, double>>& points, const Plane& plane, const char* colour,
                 const char* dash = "") {
  std::string path;
  for (const auto& [x, y] : points) path += fmt::format("{:.1f},{:.1f} ", plane.X(x), plane.Y(y));
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>\n", Trim(path), colour,
                     *dash ? fmt::format(" stroke-dasharray=\"{}\"", dash) : "");
}

}  // namespace

std::string LearningCurveSvg(const std::vector<HistoryPoint>& history) {
  std::map<std::string, std::vector<std::pair<double, double>>> lines;
  for (const auto& point : history) lines[point.metric].emplace_back(point.round, point.value);
  Plane plane{0, 1, 0, 1};
  bool first = true;
  for (const auto& point : history) {
    plane.x1 = std::max(plane.x1, static_cast<double>(point.round));
    plane.y0 = first ? point.value : std::min(plane.y0, point.value);
    plane.y1 = first ? point.value : std::max(plane.y1, point.value);
    first = false;
  }
  std::string out = Open() + plane.Axes("round");
  size_t i = 0;
  for (const auto& [name, points] : lines) {
    const char* colour = kColours[i % std::size(kColours)];
    out += Line(points, plane, colour);
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"10\" height=\"10\" fill=\"{}\"/>\n", kWidth - 220,
                       kTop + 16.0 * static_cast<double>(i), colour);
    out += Label(kWidth - 204, kTop + 9 + 16.0 * static_cast<double>(i), name);
    ++i;
  }
  return out + "</svg>\n";
}

std::string ImportanceSvg(const std::vector<FeatureImportance>& importance) {
  const size_t count = std::min<size_t>(importance.size(), 20);
  double most = 0;
  for (size_t i = 0; i < count; ++i) most = std::max(most, importance[i].gain);
  const double left = 220;
  std::string out = Open(30 + 20 * static_cast<double>(count));
  for (size_t i = 0; i < count; ++i) {
    const double y = 10 + 20 * static_cast<double>(i);
    const double width = most > 0 ? importance[i].gain / most * (kWidth - left - 80) : 0;
    out += Label(left - 6, y + 12, importance[i].feature, "end");
    out += fmt::format("<rect x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"14\" fill=\"{}\"/>\n", left, y + 1,
                       std::max(width, 1.0), kColours[0]);
    out += Label(left + width + 6, y + 12, fmt::format("{:.4g}", importance[i].gain));
  }
  return out + "</svg>\n";
}

std::string CalibrationSvg(const std::vector<CalibrationBin>& bins) {
  const Plane plane{0, 1, 0, 1};
  std::vector<std::pair<double, double>> points;
  for (const auto& bin : bins) {
    if (bin.mean_score && bin.positive_share) points.emplace_back(*bin.mean_score, *bin.positive_share);
  }
  std::string out = Open() + plane.Axes("mean score") + Line({{0, 0}, {1, 1}}, plane, "#999", "4 4");
  out += Line(points, plane, kColours[0]);
  for (const auto& [x, y] : points)
    out +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", plane.X(x), plane.Y(y), kColours[0]);
  return out + "</svg>\n";
}

}  // namespace quern::ml
