#include "server/graph_layout.h"

#include <algorithm>

namespace quern::server {

GraphLayout LayOut(const std::vector<std::vector<int>>& parents) {
  const size_t size = parents.size();
  GraphLayout out{std::vector<int>(size, 0), std::vector<double>(size, 0), 0, 0};
  std::vector<std::vector<int>> children(size), columns;
  for (size_t i = 0; i < size; ++i) {
    for (int parent : parents[i]) {
      out.column[i] = std::max(out.column[i], out.column[static_cast<size_t>(parent)] + 1);
      children[static_cast<size_t>(parent)].push_back(static_cast<int>(i));
    }
  }
  // A source stands next to the first that reads it, not at the far left of all.
  for (size_t i = size; i-- > 0;) {
    if (!parents[i].empty() || children[i].empty()) continue;
    int nearest = out.column[static_cast<size_t>(children[i].front())];
    for (int child : children[i]) nearest = std::min(nearest, out.column[static_cast<size_t>(child)]);
    out.column[i] = std::max(0, nearest - 1);
  }
  for (size_t i = 0; i < size; ++i) {
    const auto column = static_cast<size_t>(out.column[i]);
    if (columns.size() <= column) columns.resize(column + 1);
    columns[column].push_back(static_cast<int>(i));
  }
  auto settle = [&](const std::vector<int>& column) {
    for (size_t at = 0; at < column.size(); ++at)
      out.row[static_cast<size_t>(column[at])] = static_cast<double>(at) - (static_cast<double>(column.size()) - 1) / 2;
  };
  for (const auto& column : columns) {
    settle(column);
    out.rows = std::max(out.rows, static_cast<int>(column.size()));
  }
  out.columns = static_cast<int>(columns.size());
  // A few sweeps by the mean place of the neighbours keep crossings few.
  for (int sweep = 0; sweep < 8; ++sweep) {
    const auto& near = sweep % 2 == 0 ? parents : children;
    for (size_t step = 0; step < columns.size(); ++step) {
      auto& column = columns[sweep % 2 == 0 ? step : columns.size() - 1 - step];
      std::vector<std::pair<double, int>> order;
      for (int node : column) {
        double sum = 0;
        for (int other : near[static_cast<size_t>(node)]) sum += out.row[static_cast<size_t>(other)];
        const auto count = static_cast<double>(near[static_cast<size_t>(node)].size());
        order.emplace_back(count > 0 ? sum / count : out.row[static_cast<size_t>(node)], node);
      }
      std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (size_t i = 0; i < order.size(); ++i) column[i] = order[i].second;
      settle(column);
    }
  }
  return out;
}

}  // namespace quern::server
