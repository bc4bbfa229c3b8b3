#include "graph/graph.h"

#include <gtest/gtest.h>

#include <random>

namespace quern::graph {
namespace {

using Edges = std::vector<std::pair<std::string, std::string>>;

Graph Make(const std::vector<std::string>& ids, const Edges& edges) {
  Graph graph;
  for (const auto& id : ids) EXPECT_TRUE(graph.AddNode(id));
  for (const auto& [from, to] : edges) graph.AddEdge(*graph.Find(from), *graph.Find(to));
  return graph;
}

std::vector<std::string> Names(const Graph& graph, const std::vector<NodeIndex>& nodes) {
  std::vector<std::string> out;
  for (NodeIndex node : nodes) out.push_back(graph.id(node));
  return out;
}

TEST(GraphTest, SameIdTwiceIsRefused) {
  Graph graph;
  ASSERT_TRUE(graph.AddNode("a"));
  auto again = graph.AddNode("a");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::kDuplicateNode);
}

TEST(GraphTest, OrderIsByIdWhereFree) {
  auto graph = Make({"d", "b", "c", "a"}, {{"d", "a"}, {"b", "a"}});
  EXPECT_EQ(Names(graph, *graph.TopologicalOrder()), (std::vector<std::string>{"b", "c", "d", "a"}));
}

TEST(GraphTest, RepeatedAndSelfEdgesAreKeptOut) {
  auto graph = Make({"a", "b"}, {{"a", "b"}, {"a", "b"}, {"a", "a"}});
  EXPECT_EQ(graph.children(*graph.Find("a")).size(), 1U);
  EXPECT_TRUE(graph.TopologicalOrder());
}

TEST(GraphTest, CycleErrorNamesTheWayRound) {
  auto graph = Make({"a", "b", "c", "x"}, {{"c", "a"}, {"a", "b"}, {"b", "c"}, {"c", "x"}});
  auto order = graph.TopologicalOrder();
  ASSERT_FALSE(order);
  EXPECT_EQ(order.error().code(), ErrorCode::kCycle);
  EXPECT_NE(order.error().message().find("a -> b -> c -> a"), std::string::npos) << order.error().message();
}

TEST(GraphTest, EveryKnotIsReported) {
  auto graph =
      Make({"a", "b", "c", "d", "e"}, {{"a", "b"}, {"b", "a"}, {"b", "c"}, {"c", "d"}, {"d", "e"}, {"e", "c"}});
  EXPECT_EQ(graph.Cycles(), (std::vector<std::vector<std::string>>{{"a", "b"}, {"c", "d", "e"}}));
}

TEST(GraphTest, ReachIsBoundedByDepth) {
  auto graph = Make({"a", "b", "c", "d"}, {{"a", "b"}, {"b", "c"}, {"c", "d"}});
  EXPECT_EQ(graph.Ancestors({3}, 2), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(graph.Ancestors({3}), (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(graph.Descendants({0, 1}, 1), (std::vector<bool>{false, false, true, false}));
}

TEST(GraphTest, LongChainDoesNotExhaustTheStack) {
  Graph graph;
  for (int i = 0; i < 200'000; ++i) ASSERT_TRUE(graph.AddNode(fmt::format("n{:06}", i)));
  for (int i = 1; i < 200'000; ++i) graph.AddEdge(i - 1, i);
  EXPECT_TRUE(graph.Cycles().empty());
  graph.AddEdge(199'999, 0);
  EXPECT_EQ(graph.Cycles().at(0).size(), 200'000U);
}

TEST(GraphProperty, OrderRespectsEveryEdgeAndIsTheSameAgain) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const int n = 1 + static_cast<int>(random() % 40);
    Graph graph;
    for (int i = 0; i < n; ++i) ASSERT_TRUE(graph.AddNode(fmt::format("n{}", i)));
    std::vector<NodeIndex> rank(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) rank[static_cast<size_t>(i)] = i;
    std::shuffle(rank.begin(), rank.end(), random);
    for (int e = 0; e < 3 * n; ++e) {
      const auto a = random() % static_cast<uint32_t>(n);
      const auto b = random() % static_cast<uint32_t>(n);
      if (a < b) graph.AddEdge(rank[a], rank[b]);
    }
    auto order = graph.TopologicalOrder();
    ASSERT_TRUE(order);
    ASSERT_EQ(order->size(), static_cast<size_t>(n));
    std::vector<size_t> place(static_cast<size_t>(n));
    for (size_t i = 0; i < order->size(); ++i) place[static_cast<size_t>((*order)[i])] = i;
    for (NodeIndex node = 0; node < n; ++node) {
      for (NodeIndex child : graph.children(node)) {
        EXPECT_LT(place[static_cast<size_t>(node)], place[static_cast<size_t>(child)]);
      }
    }
    EXPECT_EQ(*order, *graph.TopologicalOrder());
  }
}

/// Whether each node lies on a cycle, by Floyd and Warshall.
TEST(GraphProperty, CyclesAgreeWithBruteForce) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto n = 1 + random() % 9;
    Graph graph;
    std::vector<std::vector<bool>> reach(n, std::vector<bool>(n, false));
    for (uint32_t i = 0; i < n; ++i) ASSERT_TRUE(graph.AddNode(fmt::format("n{}", i)));
    for (uint32_t e = 0; e < n + random() % n; ++e) {
      const auto a = random() % n;
      const auto b = random() % n;
      graph.AddEdge(static_cast<NodeIndex>(a), static_cast<NodeIndex>(b));
      if (a != b) reach[a][b] = true;
    }
    for (uint32_t k = 0; k < n; ++k) {
      for (uint32_t i = 0; i < n; ++i) {
        for (uint32_t j = 0; j < n; ++j) reach[i][j] = reach[i][j] || (reach[i][k] && reach[k][j]);
      }
    }
    bool cyclic = false;
    for (uint32_t i = 0; i < n; ++i) cyclic = cyclic || reach[i][i];
    EXPECT_EQ(graph.TopologicalOrder().has_value(), !cyclic);
    EXPECT_EQ(!graph.Cycles().empty(), cyclic);
    for (const auto& cycle : graph.Cycles()) {
      for (size_t i = 0; i < cycle.size(); ++i) {
        const auto from = *graph.Find(cycle[i]);
        const auto to = *graph.Find(cycle[(i + 1) % cycle.size()]);
        EXPECT_NE(std::find(graph.children(from).begin(), graph.children(from).end(), to), graph.children(from).end());
      }
    }
  }
}

}  // namespace
}  // namespace quern::graph
