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
}

void Parser::ResolveNode(ManifestNode& node) {
  const Package* package = w_.FindPackage(node.package);
  if (!package) return;
  auto add = [&](std::vector<std::string>& to, const std::string& id) {
    if (std::find(to.begin(), to.end(), id) == to.end()) to.push_back(id);
  };
  for (const Ref& ref : node.refs) {
    if (ref.version) {
      diagnostics_.Add(
          Error(ErrorCode::kDbtParse, "versions of models are not built").At(ref.pos.known() ? ref.pos : node.pos));
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
  if (node.type == ResourceType::kModel && !node.is_ephemeral() &&
      !w_.macros().Materialization(node.materialized(), AdapterPrefixes(w_.target().type))) {
    std::vector<std::string> known = w_.macros().MaterializationNames();
    known.push_back("ephemeral");
    std::string hint = DidYouMean(node.materialized(), known);
    diagnostics_.Add(Error(ErrorCode::kDbtParse, "there is no materialization '" + node.materialized() + "'")
                         .At(node.pos)
                         .Hint(hint.empty() ? "there are " + Join(known, ", ") : hint));
  }
  // reads as before the run: names of refs, or "source.table"
  if (auto it = node.config.find("before_run"); it != node.config.end() && !it->is_null()) {
    for (const std::string& name : ConfigTexts(*it)) {
      const ManifestNode* parent = w_.ResolveRef({name, std::nullopt, std::nullopt, {}}, node.package);
      if (size_t dot = name.find('.'); !parent && dot != std::string::npos)
        parent = w_.ResolveSource({name.substr(0, dot), name.substr(dot + 1), {}}, node.package);
      if (!parent ||
          std::find(node.depends_on.begin(), node.depends_on.end(), parent->unique_id) == node.depends_on.end()) {
        diagnostics_.Add(
            Error(ErrorCode::kDbtParse, "before_run names '" + name + "', which " + node.name + " does not read")
                .At(node.pos)
                .Hint("name what ref() names, or 'source.table'"));
        continue;
      }
      add(node.before_run, parent->unique_id);
    }
  }
}

}  // namespace quern::dbt
