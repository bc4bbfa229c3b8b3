#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/html.h"

namespace quern::report {
namespace {

constexpr double kWidth = 380, kHeight = 200, kLeft = 46, kRight = 10, kTop = 20, kBottom = 24;

std::string ValueText(const Series& series, double value) {
  return series.as_percent ? Percent(value) : ShortNumber(value);
}

// Ticks at round numbers that span [low, high].
struct Axis {
  double low = 0, high = 1, step = 0.25;
  static Axis Of(double low, double high) {
    if (!(high > low)) {
      const double around = std::max(std::abs(high) * 0.1, 1e-6);
      low -= around;
      high += around;
    }
    const double rough = (high - low) / 3;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (double factor : {1.0, 2.0, 2.5, 5.0}) {
      if (factor * power >= rough) {
        step = factor * power;
        break;
      }
    }
    return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
  }
  int ticks() const { return static_cast<int>(std::lround((high - low) / step)); }
  std::string Text(double value) const {
    const double size = std::max(std::abs(low), std::abs(high));
    if (size >= 1e6) return fmt::format("{:.3g} M", value / 1e6);
    if (size >= 1e4) return fmt::format("{:.3g} k", value / 1e3);
    const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
    // A quarter of a power of ten needs a digit more.
    const double scaled = step * std::pow(10, digits);
    const bool more = std::abs(scaled - std::round(scaled)) > 1e-6;
    return fmt::format("{:.{}f}", std::abs(value) < step / 1e6 ? 0.0 : value, digits + (more ? 1 : 0));
  }
};

class Picture {
 public:
  Picture(const std::string& title, Axis axis, size_t columns) : axis_(axis), columns_(columns) {
    out_ = fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                       Escape(title));
    for (int i = 0; i <= axis_.ticks(); ++i) {
      const double value = axis_.low + i * axis_.step;
      out_ += fmt::format(
          "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{}\" y=\"{:.1f}\" "
          "text-anchor=\"end\">{}</text>",
          kLeft, kWidth - kRight, Y(value), Y(value), kLeft - 6, Y(value) + 4, Escape(axis_.Text(value)));
    }
  }
  double step() const { return (kWidth - kLeft - kRight) / static_cast<double>(std::max<size_t>(columns_, 1)); }
  double X(size_t column) const { return kLeft + step() * (static_cast<double>(column) + 0.5); }
  double Y(double value) const {
    return kTop + (kHeight - kTop - kBottom) * (1 - (value - axis_.low) / (axis_.high - axis_.low));
  }
  void Add(const std::string& markup) { out_ += markup; }
  void Labels(const std::vector<std::string>& labels) {
    size_t longest = 1;
    for (const auto& label : labels) longest = std::max(longest, label.size());
    const double width = static_cast<double>(longest) * 6.2 + 8;
    const auto every = static_cast<size_t>(std::max(1.0, std::ceil(width / step())));
    for (size_t i = 0; i < labels.size(); i += every) {
      // The first one may not stand out to the left, the last one not to the right.
      const double x = std::clamp(X(i), kLeft - 40 + width / 2, kWidth - width / 2 + 4);
      out_ += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x, kHeight - 7,
                          Escape(labels[i]));
    }
  }
  // An invisible column over a period that says everything of it.
  void Hint(size_t column, const std::string& text) {
    out_ +=
        fmt::format("<rect class=\"hit\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"><title>{}</title></rect>",
                    X(column) - step() / 2, kTop, step(), kHeight - kTop - kBottom, Escape(text));
  }
  std::string Close() { return out_ + "</svg>"; }

 private:
  Axis axis_;
  size_t columns_;
  std::string out_;
};

std::string Legend(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "<p class=\"legend\">";
  for (const auto& [name, colour] : entries)
    out += fmt::format("<span><i class=\"{}\"></i>{}</span>", Escape(colour), Escape(name));
  return out + "</p>";
}

std::string Figure(const std::string& title, const std::string& picture, const std::string& legend) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}{}</figure>\n", Escape(title), picture, legend);
}

void Widen(std::optional<double> value, double& low, double& high) {
  if (!value) return;
  low = std::min(low, *value);
  high = std::max(high, *value);
}

}  // namespace

std::string DrawLines(const LineChart& chart) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const auto& series : chart.series) {
    for (const auto& value : series.values) Widen(value, low, high);
  }
  if (low > high) return "";
  if (chart.floor) low = std::min(low, *chart.floor);
  Picture picture(chart.title, Axis::Of(low, high), chart.labels.size());
  std::string before;
  for (size_t i = 0; i < chart.marks.size(); ++i) {
    if (chart.marks[i].empty() || chart.marks[i] == before) continue;
    before = chart.marks[i];
    const double x = picture.X(i) - picture.step() / 2;
    picture.Add(
        fmt::format("<line class=\"mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"8\" y2=\"{1}\"/>"
                    "<text class=\"mark\" x=\"{2:.1f}\" y=\"14\">{3}</text>",
                    x, kHeight - kBottom, x + 4, Escape(chart.marks[i])));
  }
  for (const auto& series : chart.series) {
    std::string path;
    bool pen_down = false;
    for (size_t i = 0; i < series.values.size(); ++i) {
      if (!series.values[i]) {
        pen_down = false;
        continue;
      }
      path += fmt::format("{}{:.1f},{:.1f}", pen_down ? "L" : "M", picture.X(i), picture.Y(*series.values[i]));
      pen_down = true;
    }
    const std::string colour = Escape(series.colour);
    picture.Add(fmt::format("<path class=\"line {}{}\" d=\"{}\"/>", colour, series.dashed ? " dashed" : "", path));
    if (series.dashed || series.values.size() > 60) continue;
    for (size_t i = 0; i < series.values.size(); ++i) {
      if (series.values[i])
        picture.Add(fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", colour, picture.X(i),
                                picture.Y(*series.values[i])));
    }
  }
  picture.Labels(chart.labels);
  for (size_t i = 0; i < chart.labels.size(); ++i) {
    std::string text = chart.labels[i];
    if (i < chart.marks.size() && !chart.marks[i].empty()) text += " · " + chart.marks[i];
    for (const auto& series : chart.series) {
      if (i < series.values.size() && series.values[i])
        text += fmt::format("\n{}: {}", series.name, ValueText(series, *series.values[i]));
    }
    picture.Hint(i, text);
  }
  std::vector<std::pair<std::string, std::string>> legend;
  for (const auto& series : chart.series) legend.emplace_back(series.name, series.colour);
  return Figure(chart.title, picture.Close(), Legend(legend));
}

std::string DrawBands(const BandChart& chart) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const auto& band : chart.bands) {
    for (const auto& value : {band.p05, band.p25, band.p50, band.p75, band.p95}) Widen(value, low, high);
  }
  if (low > high) return "";
  Picture picture(chart.title, Axis::Of(low, high), chart.labels.size());
  const double width = std::min(picture.step() * 0.6, 30.0);
  auto box = [&](size_t i, const std::optional<double>& from, const std::optional<double>& to, const char* shade) {
    if (!from || !to) return;
    picture.Add(fmt::format(
        "<rect class=\"band {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\"/>", shade,
        picture.X(i) - width / 2, picture.Y(*to), width, std::max(picture.Y(*from) - picture.Y(*to), 1.0)));
  };
  for (size_t i = 0; i < chart.bands.size(); ++i) {
    const auto& band = chart.bands[i];
    box(i, band.p05, band.p95, "wide");
    box(i, band.p25, band.p75, "narrow");
    if (band.p50)
      picture.Add(fmt::format("<line class=\"median\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                              picture.X(i) - width / 2, picture.X(i) + width / 2, picture.Y(*band.p50),
                              picture.Y(*band.p50)));
  }
  picture.Labels(chart.labels);
  for (size_t i = 0; i < chart.bands.size() && i < chart.labels.size(); ++i) {
    const auto& band = chart.bands[i];
    std::string text = chart.labels[i];
    for (const auto& [name, value] :
         {std::pair{"95 %", band.p95}, std::pair{"75 %", band.p75}, std::pair{"median", band.p50},
          std::pair{"25 %", band.p25}, std::pair{"5 %", band.p05}}) {
      if (value) text += fmt::format("\n{}: {}", name, ShortNumber(*value));
    }
    picture.Hint(i, text);
  }
  return Figure(chart.title, picture.Close(),
                Legend({{"5 to 95 %", "band wide"}, {"25 to 75 %", "band narrow"}, {"median", "median"}}));
}

std::string DrawSquare(const SquareChart& chart) {
  constexpr double kSide = 240, kFrom = 40, kSpan = 180, kUp = 12;
  auto x = [&](double v) { return kFrom + kSpan * std::clamp(v, 0.0, 1.0); };
  auto y = [&](double v) { return kUp + kSpan * (1 - std::clamp(v, 0.0, 1.0)); };
  std::string out = fmt::format("<svg class=\"chart square\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
                                kSide, kSide - 12, Escape(chart.title));
  for (double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    const std::string name = tick == 0 || tick == 0.5 || tick == 1 ? fmt::format("{:.1f}", tick) : "";
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<line class=\"grid\" x1=\"{3:.1f}\" x2=\"{3:.1f}\" y1=\"{4:.1f}\" y2=\"{5:.1f}\"/>",
        x(0), x(1), y(tick), x(tick), y(0), y(1));
    if (!name.empty())
      out += fmt::format(
          "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>"
          "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
          kFrom - 5, y(tick) + 4, name, x(tick), y(0) + 14, name);
  }
  out += fmt::format("<path class=\"line c7 dashed\" d=\"M{:.1f},{:.1f}L{:.1f},{:.1f}\"/>", x(0), y(0), x(1), y(1));
  std::vector<std::pair<std::string, std::string>> legend;
  for (const auto& group : chart.groups) {
    double most = 1;
    std::string path;
    for (const auto& point : group.points) {
      most = std::max(most, point.weight);
      path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "M" : "L", x(point.x), y(point.y));
    }
    const std::string colour = Escape(group.colour);
    out += fmt::format("<path class=\"line {}\" d=\"{}\"/>", colour, path);
    for (const auto& point : group.points) {
      out += fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}</title></circle>",
                         colour, x(point.x), y(point.y), 2 + 4 * std::sqrt(point.weight / most), Escape(point.hint));
    }
    legend.emplace_back(group.name, group.colour);
  }
  out += fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>"
      "<text transform=\"translate(11,{:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text></svg>",
      x(0.5), kSide - 17, Escape(chart.x_title), y(0.5), Escape(chart.y_title));
  legend.emplace_back("as it should be", "c7");
  return Figure(chart.title, out, Legend(legend));
}

std::string DrawBars(const BarChart& chart) {
  if (chart.values.empty() || chart.edges.size() != chart.values.size() + 1) return "";
  const double high = std::max(1.0, *std::max_element(chart.values.begin(), chart.values.end()));
  Picture picture(chart.title, Axis::Of(0, high), chart.values.size());
  for (size_t i = 0; i < chart.values.size(); ++i) {
    picture.Add(fmt::format("<rect class=\"bar c0\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                            picture.X(i) - picture.step() / 2 + 0.5, picture.Y(chart.values[i]),
                            std::max(picture.step() - 1, 1.0), picture.Y(0) - picture.Y(chart.values[i])));
  }
  // Ticks stand at the bins' left edges.
  for (size_t i = 0; i <= 4; ++i) {
    const double at = static_cast<double>(i) / 4;
    const double value = chart.edges.front() + (chart.edges.back() - chart.edges.front()) * at;
    picture.Add(fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
                            kLeft + (kWidth - kLeft - kRight) * at, kHeight - 7, i == 4 ? "end" : "middle",
                            Escape(fmt::format("{:.3g}", value))));
  }
  for (size_t i = 0; i < chart.values.size(); ++i) {
    picture.Hint(i, fmt::format("{} to {}: {} {}", ShortNumber(chart.edges[i]), ShortNumber(chart.edges[i + 1]),
                                ShortNumber(chart.values[i]), chart.unit));
  }
  return Figure(chart.title, picture.Close(), "");
}

std::string DrawShares(const ShareChart& chart) {
  if (chart.series.empty()) return "";
  Picture picture(chart.title, {0, 1, 0.25}, chart.labels.size());
  const double width = picture.step() * 0.7;
  for (size_t i = 0; i < chart.labels.size(); ++i) {
    double base = 0;
    std::string hint = chart.labels[i];
    for (const auto& series : chart.series) {
      if (i >= series.values.size() || !series.values[i] || !(*series.values[i] > 0)) continue;
      const double next = std::min(base + *series.values[i], 1.0);
      picture.Add(fmt::format("<rect class=\"bar {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                              Escape(series.colour), picture.X(i) - width / 2, picture.Y(next), width,
                              std::max(picture.Y(base) - picture.Y(next) - 0.7, 0.3)));
      hint += fmt::format("\n{}: {}", series.name, Percent(*series.values[i]));
      base = next;
    }
    picture.Hint(i, hint);
  }
  picture.Labels(chart.labels);
  std::vector<std::pair<std::string, std::string>> legend;
  for (const auto& series : chart.series) legend.emplace_back(series.name, series.colour);
  return Figure(chart.title, picture.Close(), Legend(legend));
}

namespace {
// Below the threshold cool and pale, above it warm: h0 to h3, h4 to h6.
int Level(double relative) {
  const double limits[] = {0.25, 0.5, 0.75, 1.0, 1.5, 2.5};
  int level = 0;
  for (double limit : limits) level += relative >= limit ? 1 : 0;
  return level;
}
}  // namespace

std::string DrawHeatMap(const HeatMap& map) {
  std::string out = "<div class=\"scroll\"><table class=\"heat\"><thead><tr><th></th>";
  for (const auto& column : map.columns) out += fmt::format("<th>{}</th>", Escape(column));
  out += "</tr></thead><tbody>";
  for (const auto& row : map.rows) {
    out += fmt::format("<tr{}><th scope=\"row\">{}</th>", row.total ? " class=\"total\"" : "", Escape(row.name));
    for (const auto& cell : row.cells) {
      if (!cell.value && cell.text.empty()) {
        out += "<td></td>";
        continue;
      }
      const std::string level = cell.value && !row.total ? fmt::format(" class=\"h{}\"", Level(*cell.value)) : "";
      const std::string hint = cell.hint.empty() ? "" : fmt::format(" title=\"{}\"", Escape(cell.hint));
      out += fmt::format("<td{}{}>{}</td>", level, hint, Escape(cell.text));
    }
    out += "</tr>";
  }
  return out +
         "</tbody></table></div><p class=\"legend\"><span><i class=\"h0\"></i>far from the threshold</span><span><i "
         "class=\"h3\"></i>near it</span><span><i class=\"h4\"></i>drifted</span><span><i class=\"h6\"></i>more than "
         "2.5 "
         "times the threshold</span></p>\n";
}

}  // namespace quern::report
