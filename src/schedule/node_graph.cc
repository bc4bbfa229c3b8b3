#include "schedule/node_graph.h"

#include <set>

#include "base/text.h"

namespace quern::schedule {
namespace {

using graph::NodeIndex;

graph::Attributes AttributesOf(const Node& node) {
  graph::Attributes out;
  out.id = node.id;
  out.kind = node.kind;
  out.name = node.name;
  out.package = node.package;
  out.fqn = node.fqn;
  out.tags = node.tags;
  if (!node.path.empty()) out.paths.push_back(node.path.generic_string());
  if (!node.local_path.empty() && node.local_path != node.path) out.paths.push_back(node.local_path.generic_string());
  out.described_in = node.described_in;
  out.config = node.config;
  if (!node.materialized.empty() && out.config.is_object() && !out.config.contains("materialized")) {
    out.config["materialized"] = node.materialized;
  }
  out.test = node.gate || node.kind == "test";
  out.test_name = node.test_of;
  return out;
}

}  // namespace

NodeGraph NodeGraph::Build(std::vector<Entry> entries, Diagnostics& diagnostics) {
  NodeGraph out;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.node.id < b.node.id; });
  for (auto& entry : entries) {
    auto added = out.dependencies_.AddNode(entry.node.id);
    if (!added) {
      const SourcePos& first = out.entries_.back().node.pos;
      diagnostics.Add(
          std::move(added).error().At(entry.node.pos).Hint(first.known() ? "the other is at " + first.ToString() : ""));
      continue;
    }
    QUERN_CHECK(out.declared_.AddNode(entry.node.id));
    out.attributes_.push_back(AttributesOf(entry.node));
    out.entries_.push_back(std::move(entry));
  }
  for (NodeIndex i = 0; i < out.size(); ++i) {
    const Node& node = out.node(i);
    for (const auto& table : node.writes) {
      const auto [writer, first] = out.writers_.emplace(table.Key(), i);
      if (first || writer->second == i) continue;
      diagnostics.Add(
          Error(ErrorCode::kDuplicateNode, fmt::format("{} and {} both write the table {}.{}",
                                                       out.node(writer->second).id, node.id, table.schema, table.table))
              .At(node.pos)
              .Hint("a table has one writer; let one of them write a table of another name"));
    }
  }
  std::vector<std::string> ids;
  for (const auto& entry : out.entries_) ids.push_back(entry.node.id);
  for (NodeIndex i = 0; i < out.size(); ++i) {
    const Node& node = out.node(i);
    for (const auto& id : node.depends_on) {
      if (const auto parent = out.Find(id)) {
        out.dependencies_.AddEdge(*parent, i);
        out.declared_.AddEdge(*parent, i);
      } else {
        diagnostics.Add(
            Error(ErrorCode::kUnknownNode, fmt::format("{} depends on '{}', which is not there", node.id, id))
                .At(node.depends_on_pos.known() ? node.depends_on_pos : node.pos)
                .Hint(DidYouMean(id, ids)));
      }
    }
    for (const auto& read : node.reads) {
      if (read.mode != ReadMode::kCurrent) continue;
      const auto writer = out.WriterOf(read.table);
      if (!writer) continue;
      if (*writer != i) {
        out.dependencies_.AddEdge(*writer, i);
        continue;
      }
      diagnostics.Add(Error(ErrorCode::kCycle, fmt::format("{} reads {}.{}, which it writes itself", node.id,
                                                           read.table.schema, read.table.table))
                          .At(node.pos)
                          .Hint("a read of the table as it stood before the run (as_of: before_run) makes no edge"));
    }
  }
  for (auto& cycle : out.dependencies_.Cycles()) {
    const Node& first = out.node(*out.Find(cycle.front()));
    cycle.push_back(cycle.front());
    diagnostics.Add(Error(ErrorCode::kCycle, "nodes depend on each other in a circle: " + Join(cycle, " -> "))
                        .At(first.pos)
                        .Hint("a read of a table as it stood before the run (as_of: before_run) makes no edge"));
  }
  out.AddGateEdges();
  return out;
}

std::optional<NodeIndex> NodeGraph::WriterOf(const TableRef& table) const {
  const auto it = writers_.find(table.Key());
  if (it == writers_.end()) return std::nullopt;
  return it->second;
}

void NodeGraph::AddGateEdges() {
  execution_ = dependencies_;
  std::map<std::vector<NodeIndex>, std::vector<NodeIndex>> first_downstream;
  for (NodeIndex gate = 0; gate < size(); ++gate) {
    if (!node(gate).gate) continue;
    std::vector<NodeIndex> tested = dependencies_.parents(gate);
    if (tested.empty()) continue;
    std::sort(tested.begin(), tested.end());
    auto [known, is_new] = first_downstream.try_emplace(tested);
    if (is_new) {
      if (tested.size() == 1) {
        // Everything downstream of one node comes after one of its children.
        known->second = dependencies_.children(tested.front());
      } else {
        std::vector<bool> below = dependencies_.Descendants({tested.front()});
        for (size_t i = 1; i < tested.size(); ++i) {
          const auto also = dependencies_.Descendants({tested[i]});
          for (size_t n = 0; n < below.size(); ++n) below[n] = below[n] && also[n];
        }
        for (NodeIndex n = 0; n < size(); ++n) {
          const auto& parents = dependencies_.parents(n);
          const bool first =
              std::none_of(parents.begin(), parents.end(), [&](NodeIndex p) { return below[static_cast<size_t>(p)]; });
          if (below[static_cast<size_t>(n)] && first) known->second.push_back(n);
        }
      }
    }
    for (NodeIndex after : known->second) {
      if (!node(after).gate) execution_.AddEdge(gate, after);
    }
  }
}

Result<graph::Selection> NodeGraph::Select(const std::vector<std::string>& select,
                                           const std::vector<std::string>& exclude,
                                           const graph::SelectOptions& options) const {
  return graph::Select(dependencies_, attributes_, select, exclude, options);
}

Result<graph::Selection> NodeGraph::SelectDeclared(const std::vector<std::string>& select,
                                                   const std::vector<std::string>& exclude,
                                                   const graph::SelectOptions& options) const {
  return graph::Select(declared_, attributes_, select, exclude, options);
}

}  // namespace quern::schedule
