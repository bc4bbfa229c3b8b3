#include <algorithm>
#include <functional>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/parse/parser.h"

namespace quern::dbt {

void Parser::Resolve() {
  for (auto& [id, node] : m_.nodes) ResolveNode(*node);
  for (auto& [id, node] : m_.exposures) ResolveNode(*node);
  m_.BuildMaps();
  ReportCycles();
}

void Parser::ResolveNode(ManifestNode& node) {
  const Package* package = w_.FindPackage(node.package);
  if (!package) return;
  auto add = [&](std::vector<std::string>& to, const std::string& id) {
    if (std::find(to.begin(), to.end(), id) == to.end()) to.push_back(id);
  };
  for (const Ref& ref : node.refs) {
    if (ref.version) {
      diagnostics_.Add(Error(ErrorCode::kDbtParse, "versions of models are not built").At(ref.pos.known() ? ref.pos : node.pos));
      continue;
    }
    const ManifestNode* parent = w_.ResolveRef(ref, node.package);
    if (parent) {
      add(node.depends_on, parent->unique_id);
    } else if (!broken_.count(ref.name)) {
      // a test of something disabled is left out quietly by dbt; a model is not
      Error error = w_.UnknownRef(ref, node);
      diagnostics_.Add(std::move(error).At(node.pos).With("node", node.unique_id));
    }
  }
  for (const SourceRef& source : node.sources) {
    const ManifestNode* parent = w_.ResolveSource(source, node.package);
    if (parent) {
      add(node.depends_on, parent->unique_id);
    } else {
      diagnostics_.Add(w_.UnknownSource(source, node).At(node.pos).With("node", node.unique_id));
    }
  }
  // reads as before the run: names of refs, or "source.table"
  if (auto it = node.config.find("before_run"); it != node.config.end() && !it->is_null()) {
    for (const std::string& name : ConfigTexts(*it)) {
      const ManifestNode* parent = w_.ResolveRef({name, std::nullopt, std::nullopt, {}}, node.package);
      if (size_t dot = name.find('.'); !parent && dot != std::string::npos) parent = w_.ResolveSource({name.substr(0, dot), name.substr(dot + 1), {}}, node.package);
      if (!parent || std::find(node.depends_on.begin(), node.depends_on.end(), parent->unique_id) == node.depends_on.end()) {
        diagnostics_.Add(Error(ErrorCode::kDbtParse, "before_run names '" + name + "', which " + node.name + " does not read").At(node.pos).Hint("name what ref() names, or 'source.table'"));
        continue;
      }
      add(node.before_run, parent->unique_id);
    }
  }
}

void Parser::ReportCycles() {
  // before_run reads make no edge
  std::map<std::string, int> state;
  std::vector<std::string> path;
  std::set<std::string> reported;
  std::function<void(const std::string&)> visit = [&](const std::string& id) {
    state[id] = 1;
    path.push_back(id);
    const ManifestNode* node = m_.Find(id);
    if (node) {
      for (const std::string& parent : node->depends_on) {
        if (std::find(node->before_run.begin(), node->before_run.end(), parent) != node->before_run.end()) continue;
        int s = state[parent];
        if (s == 0) {
          visit(parent);
        } else if (s == 1 && reported.insert(parent).second) {
          auto from = std::find(path.begin(), path.end(), parent);
          std::vector<std::string> cycle(from, path.end());
          std::reverse(cycle.begin(), cycle.end());
          cycle.push_back(cycle.front());
          const ManifestNode* at = m_.Find(parent);
          diagnostics_.Add(Error(ErrorCode::kCycle, "a cycle: " + Join(cycle, " -> ")).At(at ? at->pos : SourcePos{}));
        }
      }
    }
    path.pop_back();
    state[id] = 2;
  };
  for (const auto& [id, node] : m_.nodes) {
    if (state[id] == 0) visit(id);
  }
}

}  // namespace quern::dbt
