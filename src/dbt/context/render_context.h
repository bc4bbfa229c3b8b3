#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dbt/context/relation.h"
#include "dbt/manifest.h"
#include "dbt/session.h"
#include "dbt/workspace.h"
#include "jinja/environment.h"
#include "schedule/node_provider.h"

namespace quern::dbt {

/// What a parse gathers while a node's template runs with execute = false.
struct ParseCapture {
  std::vector<Ref> refs;
  std::vector<SourceRef> sources;
  Json config = Json::object();     ///< of all config() calls, merged by dbt's rules
  std::vector<std::string> macros;  ///< unique ids called from the node's own text
};

/// A result kept under a statement's name for load_result().
struct StatementResult {
  jinja::Value table;
  jinja::Value response;
};

/// What a template is rendered for, and with: State::user() of every render of ours. One per node and thread.
class RenderContext {
 public:
  enum class Mode {
    kYaml,     ///< YAML values: env_var, var, target, doc
    kParse,    ///< execute is false; refs, sources and config calls are gathered
    kCompile,  ///< refs resolve, introspective queries run
    kRun,      ///< as kCompile, inside a materialization, hook or test
  };

  RenderContext(const Workspace& workspace, const Package& package, const ManifestNode* node, Mode mode);

  const Workspace& workspace;
  const Package& package;
  const ManifestNode* node;  ///< null for YAML and project hooks of no node
  Mode mode;
  ParseCapture* capture = nullptr;
  /// Config that config.get() sees while parsing (project tree and properties), or the node's own at run time.
  const Json* config = nullptr;
  /// Names of this render alone: this, sql, pre_hooks, ... They win over the workspace's.
  std::map<std::string, jinja::Value, std::less<>> locals;
  /// Names of the whole run: flags, invocation_id, ... They come after `locals`. Not owned; may be null.
  const std::map<std::string, jinja::Value, std::less<>>* shared = nullptr;
  /// Unique ids of ephemeral models that were named, in order.
  std::vector<std::string> ephemeral;
  std::map<std::string, StatementResult> results;
  Json config_set = Json::object();           ///< what config.set() put over the node's config
  Session* session = nullptr;                 ///< null: nothing may be run
  const schedule::RunContext* run = nullptr;  ///< null outside runs
  schedule::TaskLog* log = nullptr;
  /// Called with the SQL of the main statement (target/run).
  std::function<void(const std::string&)> write;
  /// Whether a ref of this node must be validated against depends_on.
  bool check_refs = false;
  /// Finds the compiled text of the node under way, for model['compiled_code'].
  std::optional<jinja::Value> compiled_code;
  std::function<Result<jinja::Value>()> load_seed;
  const std::vector<std::string>* selected = nullptr;

  bool execute() const { return mode == Mode::kCompile || mode == Mode::kRun; }
  jinja::RenderOptions Options();
  /// A name that is no macro: locals, then the workspace's.
  Result<std::optional<jinja::Value>> Find(std::string_view name, jinja::State& state);
  static RenderContext& Of(jinja::State& state) { return *static_cast<RenderContext*>(state.user()); }

  /// var() as this code sees it; nothing when it is not defined.
  std::optional<jinja::Value> Var(const std::string& name) const;
  /// The relation of a node, as ref() and `this` show it.
  RelationData RelationOf(const ManifestNode& node) const;
  /// `model` of templates.
  jinja::Value Model();
  /// Shows a line to the user of the run (log(info=true), print).
  void Say(std::string_view line);

 private:
  std::optional<jinja::Value> model_;
};

/// A node as templates see it (`model`, `graph.nodes[...]`): the keys of its manifest entry.
jinja::Value NodeValue(const ManifestNode& node);
/// `flags` for one invocation.
jinja::Value MakeFlags(const Workspace& workspace, const Invocation& invocation);
/// Functions and values that all contexts share.
std::vector<std::pair<std::string, jinja::Value>> ContextGlobals(const Workspace& workspace);
/// ref, source, config, var, this's helpers: those that look at the node.
std::vector<std::pair<std::string, jinja::Value>> NodeFunctions(const Workspace& workspace);
/// `adapter`.
jinja::Value MakeAdapter(const Workspace& workspace);
/// Filters and tests of dbt's own.
void AddFilters(jinja::Environment& environment);
/// `pkg` of pkg.macro().
jinja::Value MakeMacroNamespace(const MacroRegistry& registry, std::string package);

/// Moves an error of the SQL engine to the place in the user's files that wrote the text at that line and column.
Error PlaceSqlError(Error error, const jinja::Value& sql);

/// Prefixes of dispatch and materializations for a target type: {"quern", "duckdb", "default"}.
std::vector<std::string> AdapterPrefixes(const std::string& type);

}  // namespace quern::dbt
