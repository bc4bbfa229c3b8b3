#include "graph/selection.h"

#include <set>

#include "base/text.h"
#include "graph/selector_syntax.h"

namespace quern::graph {
namespace {

using NodeSet = std::vector<bool>;

NodeSet Union(NodeSet a, const NodeSet& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] || b[i];
  return a;
}
NodeSet Both(NodeSet a, const NodeSet& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] && b[i];
  return a;
}
NodeSet Without(NodeSet a, const NodeSet& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] && !b[i];
  return a;
}
std::vector<NodeIndex> Members(const NodeSet& set) {
  std::vector<NodeIndex> out;
  for (size_t i = 0; i < set.size(); ++i) {
    if (set[i]) out.push_back(static_cast<NodeIndex>(i));
  }
  return out;
}
bool Empty(const NodeSet& set) {
  return std::find(set.begin(), set.end(), true) == set.end();
}

bool HasWildcard(std::string_view text) {
  return text.find_first_of("*?[]") != std::string_view::npos;
}

/// dbt's rule for a qualified name: the leaf's own name, or a prefix of the dotted path, wildcards from some part on.
bool QualifiedNameMatches(const std::vector<std::string>& fqn, const std::string& selector) {
  if (fqn.empty()) return false;
  if (GlobMatch(selector, fqn.back())) return true;
  std::vector<std::string> parts;
  for (const auto& segment : fqn) {
    for (auto& part : Split(segment, '.')) parts.push_back(std::move(part));
  }
  const auto wanted = Split(selector, '.');
  if (parts.size() < wanted.size()) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (HasWildcard(wanted[i])) {
      const auto tail = [i](const std::vector<std::string>& list) {
        return Join({list.begin() + static_cast<std::ptrdiff_t>(i), list.end()}, ".");
      };
      return GlobMatch(tail(wanted), tail(parts));
    }
    if (parts[i] != wanted[i]) return false;
  }
  return true;
}

bool ComponentsMatch(const std::vector<std::string>& pattern, size_t p, const std::vector<std::string>& path,
                     size_t i) {
  for (; p < pattern.size(); ++p, ++i) {
    if (pattern[p] == "**") {
      for (size_t to = i; to <= path.size(); ++to) {
        if (ComponentsMatch(pattern, p + 1, path, to)) return true;
      }
      return false;
    }
    if (i >= path.size() || !GlobMatch(pattern[p], path[i])) return false;
  }
  return true;  // what is left of the path lies below the folder that the pattern names
}

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> out;
  for (auto& part : Split(path, '/')) {
    if (part.empty() || part == "." || (part == "**" && !out.empty() && out.back() == "**")) continue;
    out.push_back(std::move(part));
  }
  return out;
}

bool PathMatches(const std::string& pattern, const std::string& path) {
  const auto wanted = Components(pattern);
  return wanted.empty() || ComponentsMatch(wanted, 0, Components(path), 0);
}

/// A file that is named itself, not through its folder.
bool IsThatFile(const std::string& pattern, const std::string& path) {
  const size_t folder = path.rfind('/');
  return PathMatches(pattern, path) && (folder == std::string::npos || !PathMatches(pattern, path.substr(0, folder)));
}

bool FileMatches(const std::string& pattern, const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return GlobMatch(pattern, name) || GlobMatch(pattern, name.substr(0, name.rfind('.')));
}

/// dbt compares for equality: no wildcards, and of what is no text only true and false.
bool ScalarMatches(const Json& value, const std::string& wanted, bool ignore_case) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return ignore_case ? EqualsIgnoreCase(wanted, text) : wanted == text;
  }
  return value.is_boolean() && EqualsIgnoreCase(wanted, value.get<bool>() ? "true" : "false");
}

bool ConfigMatches(const Json& config, const std::vector<std::string>& keys, const std::string& wanted) {
  const Json* value = &config;
  for (const auto& key : keys) {
    if (!value->is_object()) return false;
    const auto it = value->find(key);
    if (it == value->end()) return false;
    value = &*it;
  }
  const bool ignore_case = keys == std::vector<std::string>{"severity"};
  if (value->is_array()) {
    return std::any_of(value->begin(), value->end(),
                       [&](const Json& item) { return ScalarMatches(item, wanted, ignore_case); });
  }
  return ScalarMatches(*value, wanted, ignore_case);
}

/// The source's own name inside "source.<package>.<source>.<table>".
std::string SourceName(const Attributes& node) {
  const std::string before = "source." + node.package + ".";
  const std::string after = "." + node.name;
  if (!node.id.starts_with(before) || !node.id.ends_with(after) || node.id.size() < before.size() + after.size())
    return "";
  return node.id.substr(before.size(), node.id.size() - before.size() - after.size());
}

bool NamedMatches(const std::vector<std::string>& candidates, const std::string& wanted) {
  // The last of the wanted parts may be left out from the right: package.source.table, source.table or source.
  const auto parts = Split(wanted, '.');
  if (parts.size() > candidates.size()) return false;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!GlobMatch(parts[i], candidates[i])) return false;
  }
  return true;
}

bool SourceMatches(const Attributes& node, const std::string& wanted) {
  if (node.kind != "source") return false;
  const std::string source = SourceName(node);
  const size_t parts = Split(wanted, '.').size();
  if (parts == 3) return NamedMatches({node.package, source, node.name}, wanted);
  return NamedMatches({source, node.name}, wanted);
}

bool ExposureMatches(const Attributes& node, const std::string& wanted) {
  if (node.kind != "exposure") return false;
  return GlobMatch(wanted, node.name) || NamedMatches({node.package, node.name}, wanted);
}

bool NamedByItself(const std::string& kind) {
  return kind != "source";
}

class Evaluator {
 public:
  Evaluator(const Graph& graph, const std::vector<Attributes>& attributes, const SelectOptions& options, Selection& out)
      : graph_(graph), attributes_(attributes), options_(options), out_(out) {}

  /// What is selected for sure, and with it the tests that may still join when their other parents do.
  struct Found {
    NodeSet direct;
    NodeSet possible;
  };

  Found Criteria(const Criterion& criterion) {
    NodeSet set(attributes_.size(), false);
    for (size_t i = 0; i < attributes_.size(); ++i) set[i] = Matches(attributes_[i], criterion);
    if (Empty(set)) Warn(criterion);
    const NodeSet matched = set;
    const auto members = Members(matched);
    if (criterion.childrens_parents) {
      const NodeSet below = Union(matched, graph_.Descendants(members));
      set = Union(Union(std::move(set), below), graph_.Ancestors(Members(below)));
    }
    if (criterion.parents) set = Union(std::move(set), graph_.Ancestors(members, criterion.parents_depth));
    if (criterion.children) set = Union(std::move(set), graph_.Descendants(members, criterion.children_depth));
    return WithTests(std::move(set));
  }

  Found Intersection(const std::vector<Criterion>& all_of) {
    std::optional<Found> found;
    for (const auto& criterion : all_of) {
      Found next = Criteria(criterion);
      found = found ? Found{Both(found->direct, next.direct), Both(found->possible, next.possible)} : std::move(next);
    }
    return Settled(std::move(*found));
  }

  Found AnyOf(const std::vector<Selector>& selectors) {
    Found found{NodeSet(attributes_.size(), false), NodeSet(attributes_.size(), false)};
    for (const auto& selector : selectors) {
      for (const auto& all_of : selector) {
        const Found next = Intersection(all_of);
        found = {Union(std::move(found.direct), next.direct), Union(std::move(found.possible), next.possible)};
      }
    }
    return Settled(std::move(found));
  }

  Found Everything() { return {NodeSet(attributes_.size(), true), NodeSet(attributes_.size(), true)}; }

  /// Lets tests join whose parents are all there by now.
  Found Settled(Found found) {
    if (options_.indirect != IndirectSelection::kCautious && options_.indirect != IndirectSelection::kBuildable)
      return found;
    NodeSet around = found.direct;
    if (options_.indirect == IndirectSelection::kBuildable)
      around = Union(std::move(around), graph_.Ancestors(Members(found.direct)));
    NodeSet joined = found.direct;
    for (NodeIndex node : Members(Without(found.possible, found.direct))) {
      if (attributes_[static_cast<size_t>(node)].test && ParentsWithin(node, around))
        joined[static_cast<size_t>(node)] = true;
    }
    found.direct = std::move(joined);
    return found;
  }

 private:
  bool Matches(const Attributes& node, const Criterion& criterion) const {
    const std::string& method = criterion.method;
    const std::string& value = criterion.value;
    const auto any = [&](const std::vector<std::string>& list, auto&& matches) {
      return std::any_of(list.begin(), list.end(), [&](const std::string& item) { return matches(value, item); });
    };
    if (method == "fqn") {
      if (node.id == value) return true;
      if (!NamedByItself(node.kind)) return false;
      const auto fqn = node.fqn.empty() ? std::vector<std::string>{node.package, node.kind, node.name} : node.fqn;
      return QualifiedNameMatches(fqn, value) || QualifiedNameMatches({fqn.begin() + 1, fqn.end()}, value);
    }
    if (method == "tag") return any(node.tags, GlobMatch);
    if (method == "path") return any(node.paths, PathMatches) || any(node.described_in, IsThatFile);
    if (method == "file") return any(node.paths, FileMatches);
    if (method == "package") return GlobMatch(value == "this" ? options_.root_package : value, node.package);
    if (method == "config") {
      return node.kind != "exposure" && ConfigMatches(node.config, criterion.arguments, value);
    }
    if (method == "access") return ConfigMatches(node.config, {method}, value);
    if (method == "group") {
      const auto group = node.config.find("group");
      return group != node.config.end() && group->is_string() && GlobMatch(value, group->get_ref<const std::string&>());
    }
    if (method == "source") return SourceMatches(node, value);
    if (method == "exposure") return ExposureMatches(node, value);
    if (method == "resource_type") return node.kind == value;
    if (method == "test_name") return node.test && GlobMatch(value, node.test_name);
    if (method == "test_type") {
      if (value == "unit" || !node.test) return false;
      if (value == "data") return true;
      return (value == "generic" || value == "schema") == !node.test_name.empty();
    }
    return false;
  }

  bool ParentsWithin(NodeIndex node, const NodeSet& set) const {
    const auto& parents = graph_.parents(node);
    return std::all_of(parents.begin(), parents.end(),
                       [&](NodeIndex parent) { return set[static_cast<size_t>(parent)]; });
  }

  /// The nodes that count as there for a test's sake.
  NodeSet Around(const NodeSet& set) const {
    if (options_.indirect != IndirectSelection::kBuildable) return set;
    NodeSet out = Union(set, graph_.Ancestors(Members(set)));
    for (size_t i = 0; i < attributes_.size(); ++i) out[i] = out[i] || attributes_[i].kind == "source";
    return out;
  }

  Found WithTests(NodeSet set) const {
    Found found{set, set};
    if (options_.indirect == IndirectSelection::kEmpty) return found;
    const NodeSet around = Around(set);
    for (NodeIndex member : Members(set)) {
      for (NodeIndex child : graph_.children(member)) {
        const auto i = static_cast<size_t>(child);
        if (!attributes_[i].test) continue;
        found.possible[i] = true;
        if (options_.indirect == IndirectSelection::kEager || ParentsWithin(child, around)) found.direct[i] = true;
      }
    }
    return found;
  }

  void Warn(const Criterion& criterion) {
    std::set<std::string> known;
    for (const auto& node : attributes_) {
      if (criterion.method == "tag") {
        known.insert(node.tags.begin(), node.tags.end());
      } else if (criterion.method == "path" || criterion.method == "file") {
        known.insert(node.paths.begin(), node.paths.end());
      } else if (criterion.method == "package") {
        known.insert(node.package);
      } else if (criterion.method == "resource_type") {
        known.insert(node.kind);
      } else if (criterion.method == "test_name") {
        known.insert(node.test_name);
      } else if (criterion.method == "source" && node.kind == "source") {
        known.insert({SourceName(node), SourceName(node) + "." + node.name});
      } else if (criterion.method == "exposure" && node.kind == "exposure") {
        known.insert(node.name);
      } else if (criterion.method == "fqn" && NamedByItself(node.kind)) {
        known.insert({node.name, node.id});
      }
    }
    out_.warnings.push_back(
        Error(ErrorCode::kSelector, fmt::format("the selector '{}' matches no node", criterion.text))
            .Hint(DidYouMean(criterion.value, {known.begin(), known.end()})));
  }

  const Graph& graph_;
  const std::vector<Attributes>& attributes_;
  const SelectOptions& options_;
  Selection& out_;
};

}  // namespace

Result<IndirectSelection> ParseIndirectSelection(std::string_view text) {
  const std::vector<std::string> names = {"eager", "cautious", "buildable", "empty"};
  const auto it = std::find(names.begin(), names.end(), text);
  if (it != names.end()) return static_cast<IndirectSelection>(it - names.begin());
  std::string hint = DidYouMean(text, names);
  return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("there is no indirect selection '{}'", text))
                  .Hint(hint.empty() ? "one of eager, cautious, buildable, empty" : hint));
}

namespace {

/// A kind that neither the graph nor dbt knows is a mistake, not an empty selection.
Result<void> CheckKinds(const std::vector<Attributes>& attributes, const std::vector<Selector>& selectors) {
  static const std::vector<std::string> kOfDbt = {
      "model",  "analysis", "test", "snapshot", "operation",   "seed",           "source",    "macro",   "exposure",
      "metric", "group",    "doc",  "fixture",  "saved_query", "semantic_model", "unit_test", "function"};
  for (const auto& selector : selectors) {
    for (const auto& all_of : selector) {
      for (const auto& criterion : all_of) {
        if (criterion.method != "resource_type") continue;
        std::set<std::string> known(kOfDbt.begin(), kOfDbt.end());
        for (const auto& node : attributes) known.insert(node.kind);
        if (known.count(criterion.value)) continue;
        return Fail(Error(ErrorCode::kSelector,
                          fmt::format("selector '{}': there is no resource type '{}'", criterion.text, criterion.value))
                        .Hint(DidYouMean(criterion.value, {known.begin(), known.end()})));
      }
    }
  }
  return {};
}

}  // namespace

int Selection::count() const {
  return static_cast<int>(std::count(nodes.begin(), nodes.end(), true));
}

Result<Selection> Select(const Graph& graph, const std::vector<Attributes>& attributes,
                         const std::vector<std::string>& select, const std::vector<std::string>& exclude,
                         const SelectOptions& options) {
  QUERN_CHECK(static_cast<size_t>(graph.size()) == attributes.size());
  std::vector<Selector> included;
  std::vector<Selector> excluded;
  for (const auto& text : select) included.push_back(QUERN_TRY(ParseSelector(text)));
  for (const auto& text : exclude) excluded.push_back(QUERN_TRY(ParseSelector(text)));

  QUERN_TRY(CheckKinds(attributes, included));
  QUERN_TRY(CheckKinds(attributes, excluded));

  Selection out;
  Evaluator evaluator(graph, attributes, options, out);
  auto found = included.empty() ? evaluator.Everything() : evaluator.AnyOf(included);
  if (!excluded.empty()) {
    const auto less = evaluator.AnyOf(excluded);
    // As dbt does: what --exclude may take through tests counts as taken when the include side settles.
    found = evaluator.Settled({Without(found.direct, less.direct),
                               Without(Union(found.direct, found.possible), Union(less.direct, less.possible))});
  }
  out.nodes = std::move(found.direct);
  return out;
}

Result<void> CheckSelector(const std::string& text) {
  QUERN_TRY(ParseSelector(text));
  return {};
}

}  // namespace quern::graph
