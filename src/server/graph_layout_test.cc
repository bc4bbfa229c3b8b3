#include "server/graph_layout.h"

#include <gtest/gtest.h>

#include <set>

namespace quern::server {
namespace {

TEST(GraphLayoutTest, ColumnsFollowTheEdges) {
  // 0 -> 1 -> 3, 2 -> 3, 4 alone
  auto layout = LayOut({{}, {0}, {}, {1, 2}, {}});
  EXPECT_EQ(layout.column, (std::vector<int>{0, 1, 1, 2, 0}));  // 2 stands next to what reads it
  EXPECT_EQ(layout.columns, 3);
  EXPECT_EQ(layout.rows, 2);
}

TEST(GraphLayoutTest, NoTwoBoxesInOnePlaceAndFewCrossings) {
  std::vector<std::vector<int>> parents(20);
  for (int i = 0; i < 10; ++i) parents[static_cast<size_t>(10 + i)] = {9 - i};  // turned around
  auto layout = LayOut(parents);
  std::set<std::pair<int, double>> places;
  for (size_t i = 0; i < 20; ++i) places.emplace(layout.column[i], layout.row[i]);
  EXPECT_EQ(places.size(), 20U);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(layout.row[static_cast<size_t>(10 + i)], layout.row[static_cast<size_t>(9 - i)]);
  EXPECT_EQ(LayOut({}).columns, 0);
}

}  // namespace
}  // namespace quern::server
