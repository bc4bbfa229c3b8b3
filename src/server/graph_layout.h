#pragma once
#include <vector>

namespace quern::server {

/// Where the boxes of a graph drawn from left to right stand: columns by the longest way from a source, rows so that
/// edges cross little.
struct GraphLayout {
  std::vector<int> column;  ///< one a node
  std::vector<double> row;  ///< around 0, one apart at least within a column
  int columns = 0;
  int rows = 0;  ///< of the fullest column
};

/// `parents[i]` are indexes of nodes before i (a topological order). O((V + E) log V).
GraphLayout LayOut(const std::vector<std::vector<int>>& parents);

}  // namespace quern::server
