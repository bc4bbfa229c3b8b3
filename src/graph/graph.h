#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace quern::graph {

/// Index of a node in its graph.
using NodeIndex = int32_t;

/// A directed graph of named nodes. Knows no kind of node. Not thread-safe to change.
class Graph {
 public:
  /// Errors: kDuplicateNode.
  Result<NodeIndex> AddNode(std::string id);
  /// `to` depends on `from`. Repetitions and self-edges are kept out (a self-edge is the caller's error to report).
  void AddEdge(NodeIndex from, NodeIndex to);

  std::optional<NodeIndex> Find(std::string_view id) const;
  const std::string& id(NodeIndex node) const { return ids_[static_cast<size_t>(node)]; }
  NodeIndex size() const { return static_cast<NodeIndex>(ids_.size()); }
  const std::vector<NodeIndex>& parents(NodeIndex node) const { return parents_[static_cast<size_t>(node)]; }
  const std::vector<NodeIndex>& children(NodeIndex node) const { return children_[static_cast<size_t>(node)]; }

  /// Every node after its parents; nodes free to choose are in id order, so the answer is always the same. O(V log V +
  /// E). Errors: kCycle whose message lists a short cycle: "a -> b -> a".
  Result<std::vector<NodeIndex>> TopologicalOrder() const;
  /// For each set of nodes that reach each other, one cycle through its first node, in order; empty when there are
  /// none.
  std::vector<std::vector<std::string>> Cycles() const;

  /// Nodes reachable upwards or downwards within `depth` steps (-1: any), without the start. O(V + E).
  std::vector<bool> Ancestors(const std::vector<NodeIndex>& from, int depth = -1) const;
  std::vector<bool> Descendants(const std::vector<NodeIndex>& from, int depth = -1) const;

 private:
  std::vector<std::string> ids_;
  std::unordered_map<std::string, NodeIndex> index_;
  std::vector<std::vector<NodeIndex>> parents_;
  std::vector<std::vector<NodeIndex>> children_;
};

}  // namespace quern::graph
