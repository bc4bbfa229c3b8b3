// ref, source, config, var, env_var, doc, builtins, statement results: functions that look at the node under way.
#include <algorithm>
#include <cstdlib>

#include "base/secrets.h"
#include "base/text.h"
#include "dbt/config.h"
#include "dbt/context/render_context.h"
#include "dbt/context/values.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::State;
using jinja::Value;
using Mode = RenderContext::Mode;

namespace {

Result<Ref> RefArgs(CallArgs& args) {
  Ref ref;
  ref.pos = args.state.place();
  if (args.args.empty() || args.args.size() > 2) {
    return Fail(Error(ErrorCode::kTemplateType, "ref takes a name, or a package and a name"));
  }
  for (const Value& arg : args.args) {
    if (!arg.is_string()) return Fail(Error(ErrorCode::kTemplateType, "ref wants names as text, not " + arg.Repr()));
  }
  ref.name = args.args.back().AsString();
  if (args.args.size() == 2) ref.package = args.args[0].AsString();
  for (const auto& kwarg : args.kwargs) {
    if (kwarg.name == "version" || kwarg.name == "v") {
      if (!kwarg.value.is_none()) ref.version = kwarg.value.ToString();
    } else {
      return Fail(Error(ErrorCode::kTemplateType, "ref has no argument '" + std::string(kwarg.name) + "'"));
    }
  }
  return ref;
}

bool ReadBeforeRun(const RenderContext& context, const ManifestNode& parent) {
  return context.node && std::find(context.node->before_run.begin(), context.node->before_run.end(),
                                   parent.unique_id) != context.node->before_run.end();
}

/// The relation of a parent; for reads "as before the run" with the version that stood then, or none when there was
/// none.
std::optional<RelationData> ParentData(const RenderContext& context, const ManifestNode& parent) {
  RelationData data = context.RelationOf(parent);
  if (!ReadBeforeRun(context, parent)) return data;
  auto versions = context.locals.find("__before_run");
  if (versions == context.locals.end()) return data;  // only looked at, not run
  auto version = versions->second.Get(parent.unique_id);
  if (!version) return std::nullopt;
  data.suffix = "AT (VERSION => " + version->ToString() + ")";
  return data;
}

Result<Value> ParentRelation(const RenderContext& context, const ManifestNode& parent) {
  std::optional<RelationData> data = ParentData(context, parent);
  if (!data) {
    std::string name = parent.type == ResourceType::kSource ? parent.source_name + "." + parent.name : parent.name;
    return Fail(Error(ErrorCode::kVersionNotFound,
                      parent.schema + "." + parent.alias + " did not exist before this interval's run")
                    .Hint("before_run('" + name + "') gives none then, so that the model can do without it"));
  }
  return MakeRelation(*std::move(data));
}

/// before_run('name'), before_run('source.table'): the relation as it stood before the run, or none.
Result<Value> BeforeRun(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  auto bound = QUERN_TRY(args.Bind("before_run", {"name"}, 1));
  std::string name = bound[0]->ToString();
  if (!context.execute() || !context.node) return Value();
  for (const std::string& id : context.node->before_run) {
    const ManifestNode* parent = context.workspace.manifest().Find(id);
    if (!parent ||
        (parent->type == ResourceType::kSource ? parent->source_name + "." + parent->name : parent->name) != name)
      continue;
    std::optional<RelationData> data = ParentData(context, *parent);
    return data ? MakeRelation(*std::move(data)) : Value();
  }
  return Fail(
      Error(ErrorCode::kDbtCompile, "before_run('" + name + "'): the model's config before_run does not name it"));
}

Result<Value> RefFunction(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  Ref ref = QUERN_TRY(RefArgs(args));
  if (context.mode == Mode::kYaml) return Fail(Error(ErrorCode::kTemplateType, "ref cannot be used here"));
  if (context.mode == Mode::kParse) {
    if (context.capture) {
      auto& refs = context.capture->refs;
      if (std::find(refs.begin(), refs.end(), ref) == refs.end()) refs.push_back(std::move(ref));
    }
    return MakeRelation(context.node ? context.RelationOf(*context.node) : RelationData{});
  }
  const ManifestNode* parent = context.workspace.ResolveRef(ref, context.package.name);
  if (!parent) {
    static const ManifestNode kNone;
    return Fail(context.workspace.UnknownRef(ref, context.node ? *context.node : kNone));
  }
  if (context.check_refs && context.node &&
      std::find(context.node->depends_on.begin(), context.node->depends_on.end(), parent->unique_id) ==
          context.node->depends_on.end()) {
    return Fail(
        Error(ErrorCode::kDbtCompile,
              "ref('" + ref.name + "') was not seen when the project was read, so that its order is unknown")
            .Hint("add a comment to " + context.node->name + ":  -- depends_on: {{ ref('" + ref.name + "') }}"));
  }
  if (parent->is_ephemeral()) {
    if (std::find(context.ephemeral.begin(), context.ephemeral.end(), parent->unique_id) == context.ephemeral.end()) {
      context.ephemeral.push_back(parent->unique_id);
    }
  }
  return ParentRelation(context, *parent);
}

Result<Value> SourceFunction(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  auto bound = QUERN_TRY(args.Bind("source", {"source_name", "table_name"}, 2));
  if (!bound[0]->is_string() || !bound[1]->is_string())
    return Fail(Error(ErrorCode::kTemplateType, "source wants names as text"));
  SourceRef ref{bound[0]->AsString(), bound[1]->AsString(), args.state.place()};
  if (context.mode == Mode::kYaml) return Fail(Error(ErrorCode::kTemplateType, "source cannot be used here"));
  if (context.mode == Mode::kParse) {
    if (context.capture) {
      auto& sources = context.capture->sources;
      if (std::find(sources.begin(), sources.end(), ref) == sources.end()) sources.push_back(std::move(ref));
    }
    return MakeRelation(context.node ? context.RelationOf(*context.node) : RelationData{});
  }
  const ManifestNode* parent = context.workspace.ResolveSource(ref, context.package.name);
  if (!parent) {
    static const ManifestNode kNone;
    return Fail(context.workspace.UnknownSource(ref, context.node ? *context.node : kNone));
  }
  return ParentRelation(context, *parent);
}

/// `config`: called, it records (while parsing); asked, it answers.
class ConfigObject : public jinja::Object {
 public:
  std::string TypeName() const override { return "config"; }
  bool callable() const override { return true; }

  Result<Value> Call(CallArgs& args) override {
    RenderContext& context = RenderContext::Of(args.state);
    if (!context.capture) return Value("");
    Value given = Value::NewDict();
    if (!args.args.empty()) {
      if (args.args.size() > 1 || !args.args[0].is_dict() || !args.kwargs.empty()) {
        return Fail(Error(ErrorCode::kTemplateType, "config takes keywords: config(materialized='table')"));
      }
      given = args.args[0];
    } else {
      given = args.KeywordDict();
    }
    Result<Json> json = given.ToJson();
    if (!json) return Fail(std::move(std::move(json).error()).Context("config"));
    MergeConfig(context.capture->config, *json);
    return Value("");
  }

  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    RenderContext& context = RenderContext::Of(args.state);
    if (name == "get" || name == "require" || name == "meta_get" || name == "meta_require") {
      auto bound = QUERN_TRY(args.Bind(name, {"name", "default", "validator"}, 1));
      std::string key = bound[0]->ToString();
      bool meta = name.rfind("meta_", 0) == 0;
      std::optional<Value> found = Look(context, key, meta);
      if (found && !found->is_none()) return found;
      if (name.find("require") != std::string_view::npos && context.execute() && !found) {
        return Fail(Error(ErrorCode::kDbtCompile,
                          "config '" + key + "' must be given" + (context.node ? " for " + context.node->name : "")));
      }
      if (bound[1]) return *bound[1];
      return found ? *found : Value();
    }
    if (name == "set") {
      auto bound = QUERN_TRY(args.Bind(name, {"name", "value"}, 2));
      Result<Json> json = bound[1]->ToJson();
      if (!json) return Fail(std::move(json).error());
      context.config_set[bound[0]->ToString()] = *std::move(json);
      return Value("");
    }
    if (name == "persist_relation_docs" || name == "persist_column_docs") {
      std::optional<Value> docs = Look(context, "persist_docs", false);
      if (!docs || !docs->is_dict()) return Value(false);
      auto flag = docs->Get(name == "persist_relation_docs" ? "relation" : "columns");
      return Value(flag && flag->Truthy());
    }
    return std::nullopt;
  }
  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override {
    RenderContext& context = RenderContext::Of(state);
    return Look(context, std::string(name), false);
  }
  Result<std::optional<Value>> Item(const Value& key, State& state) override {
    if (!key.is_string()) return std::nullopt;
    return Look(RenderContext::Of(state), key.AsString(), false);
  }

 private:
  /// The names of a snapshot's own columns: dbt's, or what snapshot_meta_column_names says.
  static Value SnapshotColumns(const Json& config) {
    Value out = Value::NewDict();
    Json names = config.value("snapshot_meta_column_names", Json::object());
    for (const char* name : {"dbt_valid_to", "dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted"}) {
      bool renamed = names.is_object() && names.contains(name) && names[name].is_string();
      Put(out, name, Value(renamed ? names[name].get<std::string>() : std::string(name)));
    }
    return out;
  }
  static std::optional<Value> Look(RenderContext& context, const std::string& written, bool only_meta) {
    std::string key = written == "pre_hook" ? "pre-hook" : written == "post_hook" ? "post-hook" : written;
    auto in = [&](const Json& config) -> std::optional<Value> {
      if (!only_meta) {
        if (auto it = config.find(key); it != config.end()) return Value::FromJson(*it);
      }
      if (auto meta = config.find("meta"); meta != config.end() && meta->is_object()) {
        if (auto it = meta->find(key); it != meta->end()) return Value::FromJson(*it);
      }
      return std::nullopt;
    };
    if (!context.config_set.empty()) {
      if (auto found = in(context.config_set)) return found;
    }
    if (key == "snapshot_table_column_names" && context.node && context.node->type == ResourceType::kSnapshot)
      return SnapshotColumns(context.node->config);
    if (context.capture) {
      if (auto found = in(context.capture->config)) return found;
    }
    if (context.config) return in(*context.config);
    if (context.node) return in(context.node->config);
    return std::nullopt;
  }
};

class VarObject : public jinja::Object {
 public:
  std::string TypeName() const override { return "var"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs& args) override {
    RenderContext& context = RenderContext::Of(args.state);
    auto bound = QUERN_TRY(args.Bind("var", {"var_name", "default"}, 1));
    std::string name = bound[0]->ToString();
    if (auto value = context.Var(name)) return *value;
    if (bound[1]) return *bound[1];
    std::vector<std::string> known;
    for (const Json* vars :
         {&context.package.vars, &context.workspace.root().vars, &context.workspace.invocation().vars}) {
      if (vars->is_object()) {
        for (const auto& [key, value] : vars->items()) known.push_back(key);
      }
    }
    std::string hint = DidYouMean(name, known);
    return Fail(Error(ErrorCode::kTemplateUndefined, "var '" + name + "' is not defined")
                    .Hint(hint.empty() ? "define it under vars: in dbt_project.yml, give --vars, or a default: var('" +
                                             name + "', ...)"
                                       : hint));
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name != "has_var") return std::nullopt;
    auto bound = QUERN_TRY(args.Bind("has_var", {"var_name"}, 1));
    return Value(RenderContext::Of(args.state).Var(bound[0]->ToString()).has_value());
  }
};

Result<Value> EnvVar(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("env_var", {"var", "default"}, 1));
  std::string name = bound[0]->ToString();
  RenderContext& context = RenderContext::Of(args.state);
  bool secret = name.rfind("DBT_ENV_SECRET", 0) == 0 || name.rfind("QUERN_SECRET", 0) == 0;
  if (secret && context.mode != Mode::kYaml) {
    return Fail(Error(ErrorCode::kTemplateRaised,
                      "secret environment variables ('" + name + "') may be used in profiles.yml only"));
  }
  if (const char* value = std::getenv(name.c_str())) {
    if (secret) RegisterSecret(value);
    return Value(value);
  }
  if (bound[1] && !bound[1]->is_none()) return Value(bound[1]->ToString());
  return Fail(Error(ErrorCode::kTemplateUndefined, "environment variable '" + name + "' is not set")
                  .Hint("set it, or give a default: env_var('" + name + "', '...')"));
}

Result<Value> Doc(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  if (args.args.empty() || args.args.size() > 2)
    return Fail(Error(ErrorCode::kTemplateType, "doc takes a name, or a package and a name"));
  std::string name = args.args.back().ToString();
  const auto& docs = context.workspace.manifest().docs;
  std::vector<std::string> packages;
  if (args.args.size() == 2) {
    packages = {args.args[0].ToString()};
  } else {
    packages = {context.package.name, context.workspace.root().name};
    for (const auto& package : context.workspace.packages()) packages.push_back(package->name);
  }
  for (const std::string& package : packages) {
    if (auto it = docs.find("doc." + package + "." + name); it != docs.end()) {
      if (context.capture) context.capture->macros.push_back(it->first);
      return Value(it->second.text);
    }
  }
  std::vector<std::string> known;
  for (const auto& [id, doc] : docs) known.push_back(doc.name);
  std::string hint = DidYouMean(name, known);
  Error error(ErrorCode::kTemplateUndefined, "there is no docs block '" + name + "'");
  if (!hint.empty()) error = std::move(error).Hint(hint);
  return Fail(std::move(error));
}

Result<Value> StoreResult(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("store_result", {"name", "response", "agate_table"}, 2));
  RenderContext& context = RenderContext::Of(args.state);
  context.results[bound[0]->ToString()] = {bound[2].value_or(Value()), *bound[1]};
  return Value("");
}

Result<Value> StoreRawResult(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("store_raw_result", {"name", "message", "code", "rows_affected", "agate_table"}, 1));
  RenderContext& context = RenderContext::Of(args.state);
  Value response = Value::NewDict({{"_message", bound[1].value_or(Value())},
                                   {"code", bound[2].value_or(Value())},
                                   {"rows_affected", bound[3].value_or(Value())}});
  context.results[bound[0]->ToString()] = {bound[4].value_or(Value()), response};
  return Value("");
}

Result<Value> LoadResult(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("load_result", {"name"}, 1));
  RenderContext& context = RenderContext::Of(args.state);
  auto it = context.results.find(bound[0]->ToString());
  if (it == context.results.end()) return Value();
  Value data = Value::NewList();
  if (!it->second.table.is_none()) {
    Result<std::vector<Value>> rows = it->second.table.Iterate();
    if (rows) data = Value::NewList(*std::move(rows));
  }
  return Value::NewDict({{"response", it->second.response}, {"table", it->second.table}, {"data", data}});
}

Result<Value> WriteFunction(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  if (context.write && !args.args.empty()) context.write(args.args[0].ToString());
  return Value("");
}

Result<Value> RenderFunction(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  auto bound = QUERN_TRY(args.Bind("render", {"string"}, 1));
  std::string text = bound[0]->ToString();
  if (!HasJinja(text)) return *bound[0];
  std::string file =
      context.node ? context.workspace.Shown(context.package, context.node->original_file_path) : "dbt_project.yml";
  jinja::TemplatePtr compiled = QUERN_TRY(context.workspace.jinja().Compile(text, file + " (hook)"));
  jinja::RenderResult result =
      QUERN_TRY(compiled->Render(context.workspace.ScopeOf(context.package.name), context.Options()));
  return Value(std::move(result.text));
}

Result<Value> LoadSeed(CallArgs& args) {
  RenderContext& context = RenderContext::Of(args.state);
  if (!context.load_seed) return Fail(Error(ErrorCode::kTemplateRaised, "load_agate_table works in a seed only"));
  return context.load_seed();
}

/// `context`: every name by key, macros included.
class ContextObject : public jinja::Object {
 public:
  explicit ContextObject(const Workspace& workspace) : workspace_(workspace) {}
  Result<std::optional<bool>> Contains(const Value& key) const override {
    return key.is_string() &&
           (workspace_.macros().Lookup(workspace_.root().name, key.AsString()) || workspace_.Global(key.AsString()));
  }
  std::string TypeName() const override { return "context"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override {
    auto& context = RenderContext::Of(state);
    const Macro* macro = context.workspace.macros().Lookup(context.package.name, name);
    if (macro) return macro->callable;
    return state.Lookup(name);
  }
  Result<std::optional<Value>> Item(const Value& key, State& state) override {
    if (!key.is_string()) return std::nullopt;
    return Attribute(key.AsString(), state);
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "get") {
      auto bound = QUERN_TRY(args.Bind("get", {"key", "default"}, 1));
      auto found = QUERN_TRY(Attribute(bound[0]->ToString(), args.state));
      if (found && !found->is_undefined()) return found;
      return bound[1] ? *bound[1] : Value();
    }
    if (name == "update") {
      if (!args.args.empty() && args.args[0].is_dict()) {
        for (const auto& entry : args.args[0].AsDict().entries())
          RenderContext::Of(args.state).locals[entry.key.ToString()] = entry.value;
      }
      return Value();
    }
    return std::nullopt;
  }
  bool is_mapping() const override { return true; }

 private:
  const Workspace& workspace_;
};

}  // namespace

std::vector<std::pair<std::string, Value>> NodeFunctions(const Workspace& workspace) {
  Value ref = Value::Function("ref", RefFunction), source = Value::Function("source", SourceFunction);
  Value config(jinja::MakeRef<ConfigObject>());
  Value builtins = Value::NewDict({{"ref", ref}, {"source", source}, {"config", config}});
  builtins.Freeze();
  return {{"ref", ref},
          {"source", source},
          {"config", config},
          {"builtins", builtins},
          {"before_run", Value::Function("before_run", BeforeRun)},
          {"var", Value(jinja::MakeRef<VarObject>())},
          {"env_var", Value::Function("env_var", EnvVar)},
          {"doc", Value::Function("doc", Doc)},
          {"store_result", Value::Function("store_result", StoreResult)},
          {"store_raw_result", Value::Function("store_raw_result", StoreRawResult)},
          {"load_result", Value::Function("load_result", LoadResult)},
          {"write", Value::Function("write", WriteFunction)},
          {"render", Value::Function("render", RenderFunction)},
          {"load_agate_table", Value::Function("load_agate_table", LoadSeed)},
          {"context", Value(jinja::MakeRef<ContextObject>(workspace))}};
}

}  // namespace quern::dbt
