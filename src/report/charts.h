#pragma once
#include <optional>
#include <string>
#include <vector>

// Charts as SVG, sized by their container, coloured by the classes of theme.css (so that they follow light and dark),
// with nothing inside a style attribute and no script: a page with a strict content security policy shows them.
namespace quern::report {

struct Series {
  std::string name;
  std::string colour;  ///< class of theme.css: "c0" to "c7"
  std::vector<std::optional<double>> values;
  bool dashed = false;
  bool as_percent = false;
};

/// Values over periods.
struct LineChart {
  std::string title;
  std::vector<std::string> labels;  ///< one a period
  std::vector<Series> series;
  std::vector<std::string> marks;  ///< one a period, drawn above it when it differs from the one before: "v2"
  std::optional<double> floor;     ///< the axis goes down to here at least
};
std::string DrawLines(const LineChart& chart);

/// A distribution over periods: 5 to 95 % light, 25 to 75 % darker, the median as a line.
struct Band {
  std::optional<double> p05, p25, p50, p75, p95;
};
struct BandChart {
  std::string title;
  std::vector<std::string> labels;
  std::vector<Band> bands;
};
std::string DrawBands(const BandChart& chart);

struct Point {
  double x = 0;
  double y = 0;
  double weight = 0;
  std::string hint;
};
/// Points within the unit square, beside its diagonal.
struct SquareChart {
  std::string title;
  std::string x_title, y_title;
  struct Group {
    std::string name;
    std::string colour;
    std::vector<Point> points;
  };
  std::vector<Group> groups;
};
std::string DrawSquare(const SquareChart& chart);

struct BarChart {
  std::string title;
  std::vector<double> edges;  ///< one more than values
  std::vector<double> values;
  std::string unit;
};
std::string DrawBars(const BarChart& chart);

/// Shares of a whole over periods, stacked.
struct ShareChart {
  std::string title;
  std::vector<std::string> labels;
  std::vector<Series> series;  ///< values 0 to 1
};
std::string DrawShares(const ShareChart& chart);

/// A table of coloured cells; the first row's and column's names stay in sight.
struct HeatMap {
  std::vector<std::string> columns;
  struct Cell {
    std::optional<double> value;  ///< 1 is the threshold; nothing: an empty cell
    std::string text;
    std::string hint;
  };
  struct Row {
    std::string name;
    std::vector<Cell> cells;
    bool total = false;  ///< set off from the others, not coloured
  };
  std::vector<Row> rows;
};
std::string DrawHeatMap(const HeatMap& map);

}  // namespace quern::report
