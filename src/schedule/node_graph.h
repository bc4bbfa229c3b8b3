#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/selection.h"
#include "schedule/node_provider.h"

namespace quern::schedule {

/// The one graph: what all providers loaded, joined by what the nodes read and write and depend on. Knows no kind of
/// node. Immutable once built; thread-safe to read.
class NodeGraph {
 public:
  struct Entry {
    Node node;
    NodeProvider* provider = nullptr;  ///< not owned; outlives the graph
  };

  /// Nodes are kept in id order. Reports to `diagnostics`, each at the node's place: ids given twice, unknown
  /// `depends_on` (with "did you mean"), two nodes that write one table, a node that reads what it writes (hint:
  /// before_run), cycles (each with its path). What is wrong is left out, so that the rest can still be looked at.
  static NodeGraph Build(std::vector<Entry> entries, Diagnostics& diagnostics);

  graph::NodeIndex size() const { return dependencies_.size(); }
  const Node& node(graph::NodeIndex i) const { return entries_[static_cast<size_t>(i)].node; }
  NodeProvider* provider(graph::NodeIndex i) const { return entries_[static_cast<size_t>(i)].provider; }
  std::optional<graph::NodeIndex> Find(std::string_view id) const { return dependencies_.Find(id); }
  /// The node that writes a table; nothing when nobody in the project does.
  std::optional<graph::NodeIndex> WriterOf(const TableRef& table) const;

  /// What depends on what: selection walks here.
  const graph::Graph& dependencies() const { return dependencies_; }
  /// Dependencies, and an edge from each gate (test) to what lies downstream of all that it tests: running follows
  /// these.
  const graph::Graph& execution() const { return execution_; }

  /// Selection over the graph; see graph::Select.
  Result<graph::Selection> Select(const std::vector<std::string>& select, const std::vector<std::string>& exclude,
                                  const graph::SelectOptions& options = {}) const;
  /// The same over `depends_on` alone, without the edges that reads and writes of tables make: what dbt-core would
  /// select, which knows of no edge from a seed to the source that names the seed's table.
  Result<graph::Selection> SelectDeclared(const std::vector<std::string>& select,
                                          const std::vector<std::string>& exclude,
                                          const graph::SelectOptions& options = {}) const;

 private:
  void AddGateEdges();
  std::vector<Entry> entries_;
  graph::Graph dependencies_;
  graph::Graph execution_;
  graph::Graph declared_;
  std::vector<graph::Attributes> attributes_;
  std::map<std::string, graph::NodeIndex> writers_;
};

}  // namespace quern::schedule
