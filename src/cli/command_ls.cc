#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/table_text.h"
#include "cli/workspace.h"

namespace quern::cli {
namespace {

using graph::NodeIndex;

Json NodeJson(const schedule::NodeGraph& graph, NodeIndex index) {
  const auto& node = graph.node(index);
  Json parents = Json::array(), children = Json::array(), writes = Json::array(), reads = Json::array();
  for (NodeIndex i : graph.dependencies().parents(index)) parents.push_back(graph.node(i).id);
  for (NodeIndex i : graph.dependencies().children(index)) children.push_back(graph.node(i).id);
  for (const auto& table : node.writes) writes.push_back(table.schema + "." + table.table);
  for (const auto& read : node.reads) {
    reads.push_back({{"table", read.table.schema + "." + read.table.table},
                     {"before_run", read.mode == schedule::ReadMode::kBeforeRun}});
  }
  return {{"id", node.id},
          {"kind", node.kind},
          {"name", node.name},
          {"package", node.package},
          {"path", node.path.generic_string()},
          {"line", node.pos.line},
          {"tags", node.tags},
          {"materialized", node.materialized},
          {"description", node.description},
          {"config", node.config},
          {"depends_on", parents},
          {"children", children},
          {"reads", reads},
          {"writes", writes}};
}

// Warnings of a selection (criteria that match nothing) go to the standard error.
void Warn(const Invocation& invocation, const std::vector<Error>& warnings) {
  for (const auto& warning : warnings) invocation.terminal.PrintWarning(warning);
}

std::optional<NodeIndex> FindNode(const schedule::NodeGraph& graph, const std::string& name,
                                  std::optional<Error>& error) {
  if (auto exact = graph.Find(name)) return exact;
  std::vector<NodeIndex> found;
  std::vector<std::string> known;
  for (NodeIndex i = 0; i < graph.size(); ++i) {
    const auto& node = graph.node(i);
    known.push_back(node.id);
    if (!node.name.empty()) known.push_back(node.name);
    bool writes = std::any_of(node.writes.begin(), node.writes.end(), [&](const auto& table) {
      return EqualsIgnoreCase(table.schema + "." + table.table, name);
    });
    if (node.name == name || writes) found.push_back(i);
  }
  // A load and the source that stands for its table share a name: the one that runs is meant.
  if (found.size() > 1) std::erase_if(found, [&](NodeIndex i) { return !graph.node(i).runs; });
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    error = Error(ErrorCode::kUnknownNode, fmt::format("there is no node '{}'", name)).Hint(DidYouMean(name, known));
  } else {
    std::vector<std::string> ids;
    for (NodeIndex i : found) ids.push_back(graph.node(i).id);
    error =
        Error(ErrorCode::kUnknownNode, fmt::format("'{}' may be {}", name, Join(ids, " or "))).Hint("name it in full");
  }
  return std::nullopt;
}

class Tree {
 public:
  Tree(const schedule::NodeGraph& graph, const Terminal& terminal, int depth, bool tests)
      : graph_(graph), terminal_(terminal), depth_(depth), tests_(tests) {}

  std::string Draw(NodeIndex root, bool up) {
    seen_.assign(static_cast<size_t>(graph_.size()), false);
    out_.clear();
    Below(root, up, "", 1);
    return out_;
  }

 private:
  void Below(NodeIndex at, bool up, const std::string& indent, int depth) {
    if (depth_ >= 0 && depth > depth_) return;
    std::vector<NodeIndex> next = up ? graph_.dependencies().parents(at) : graph_.dependencies().children(at);
    if (!tests_) std::erase_if(next, [&](NodeIndex i) { return graph_.node(i).gate; });
    for (size_t k = 0; k < next.size(); ++k) {
      bool last = k + 1 == next.size();
      const auto& node = graph_.node(next[k]);
      bool seen = seen_[static_cast<size_t>(next[k])];
      const auto& beyond = up ? graph_.dependencies().parents(next[k]) : graph_.dependencies().children(next[k]);
      bool again = seen && !beyond.empty();
      out_ +=
          indent + (last ? "└─ " : "├─ ") + node.id + (again ? terminal_.Paint(" (above)", Colour::kGrey) : "") + "\n";
      if (seen) continue;
      seen_[static_cast<size_t>(next[k])] = true;
      Below(next[k], up, indent + (last ? "   " : "│  "), depth + 1);
    }
  }

  const schedule::NodeGraph& graph_;
  const Terminal& terminal_;
  int depth_;
  bool tests_;
  std::vector<bool> seen_;
  std::string out_;
};

}  // namespace

int RunLs(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  std::vector<Error> warnings;
  auto work = project->Select(invocation.args.List("select"), invocation.args.List("exclude"), &warnings);
  if (!work) return invocation.Failed(work.error());
  Warn(invocation, warnings);
  const auto& graph = project->graph();
  auto form = invocation.args.GetOr("output", "text");
  auto kind = invocation.args.Get("kind");
  Json list = Json::array();
  TextTable table{.columns = {{"node"}, {"kind"}, {"materialized"}, {"tags"}, {"path"}}, .rows = {}};
  for (NodeIndex i = 0; i < graph.size(); ++i) {
    const auto& node = graph.node(i);
    if (!work->selected[static_cast<size_t>(i)] || (kind && node.kind != *kind)) continue;
    if (form == "json") {
      list.push_back(NodeJson(graph, i));
    } else if (form == "name") {
      invocation.terminal.Out(node.id);
    } else if (form == "path") {
      invocation.terminal.Out(node.path.generic_string());
    } else {
      table.Add({node.id, node.kind, node.materialized, Join(node.tags, ","), node.path.generic_string()});
    }
  }
  if (kind) {
    std::set<std::string> kinds;
    for (NodeIndex i = 0; i < graph.size(); ++i) kinds.insert(graph.node(i).kind);
    if (!kinds.empty() && !kinds.contains(*kind)) {
      std::vector<std::string> names(kinds.begin(), kinds.end());
      auto hint = DidYouMean(*kind, names);
      Warn(invocation, {Error(ErrorCode::kSelector, fmt::format("no node is of the kind '{}'", *kind))
                            .Hint(hint.empty() ? "there are: " + Join(names, ", ") : hint)});
    }
  }
  if (form == "json") invocation.PrintJson({{"nodes", list}});
  if (form == "text") invocation.terminal.OutRaw(DrawPlain(table, invocation.terminal.width(), invocation.terminal));
  return kDone;
}

int RunLineage(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  const auto& graph = project->graph();
  std::optional<Error> error;
  auto node = FindNode(graph, *invocation.args.Positional("NODE"), error);
  if (!node) return invocation.Failed(*error);
  auto depth = invocation.args.Int("depth", 1);
  if (!depth) return invocation.Failed(depth.error());
  int steps = static_cast<int>(depth->value_or(-1));
  auto& terminal = invocation.terminal;
  bool up = invocation.args.Flag("up") || !invocation.args.Flag("down");
  bool down = invocation.args.Flag("down") || !invocation.args.Flag("up");
  if (invocation.json()) {
    auto ids = [&](const std::vector<bool>& taken) {
      Json out = Json::array();
      for (NodeIndex i = 0; i < graph.size(); ++i) {
        if (taken[static_cast<size_t>(i)]) out.push_back(graph.node(i).id);
      }
      return out;
    };
    Json object = NodeJson(graph, *node);
    if (up) object["upstream"] = ids(graph.dependencies().Ancestors({*node}, steps));
    if (down) object["downstream"] = ids(graph.dependencies().Descendants({*node}, steps));
    invocation.PrintJson(object);
    return kDone;
  }
  Tree tree(graph, terminal, steps, invocation.args.Flag("tests"));
  terminal.Out(terminal.Paint(graph.node(*node).id, Colour::kBold));
  auto show = [&](std::string_view title, bool upwards) {
    auto text = tree.Draw(*node, upwards);
    terminal.Out(terminal.Paint(title, Colour::kGrey) + (text.empty() ? " nothing" : ""));
    terminal.OutRaw(text);
  };
  if (up) show("comes from", true);
  if (down) show("goes to", false);
  return kDone;
}

}  // namespace quern::cli
