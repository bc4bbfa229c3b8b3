#include "dbt/context/render_context.h"

#include <cstdio>

#include "base/secrets.h"
#include "base/text.h"
#include "dbt/context/values.h"

namespace quern::dbt {

using jinja::State;
using jinja::Value;

RenderContext::RenderContext(const Workspace& workspace, const Package& package, const ManifestNode* node, Mode mode)
    : workspace(workspace), package(package), node(node), mode(mode) {}

jinja::RenderOptions RenderContext::Options() {
  jinja::RenderOptions options;
  options.undefined = mode == Mode::kParse ? jinja::UndefinedMode::kChainable : jinja::UndefinedMode::kDefault;
  options.user = this;
  options.map_output = mode == Mode::kCompile || mode == Mode::kRun;
  return options;
}

void RenderContext::Say(std::string_view line) {
  std::string text = MaskSecrets(std::string(line));
  if (log) log->Line(text);
  if (workspace.options().console) workspace.options().console(text);
}

std::optional<Value> RenderContext::Var(const std::string& name) const {
  if (run) {
    auto found = run->vars.find(name);
    if (found != run->vars.end()) return Value::FromJson(*found);
    auto iso = [](Timestamp t) {
      std::string text = FormatUtc(t);
      if (!text.empty() && text.back() == 'Z') text = text.substr(0, text.size() - 1) + "+00:00";
      return Value(text);
    };
    if (name == "logical_date") return iso(run->logical_date);
    if (name == "data_interval_start") return iso(run->interval.start);
    if (name == "data_interval_end") return iso(run->interval.end);
  }
  if (const Json* value = FindVar(name, package, workspace.root(), workspace.invocation().vars))
    return Value::FromJson(*value);
  if (!run && (name == "logical_date" || name == "data_interval_start" || name == "data_interval_end")) {
    // outside a run: stands for the interval while files are checked
    std::string text = FormatUtc(workspace.invocation().started);
    return Value(text.substr(0, text.size() - 1) + "+00:00");
  }
  return std::nullopt;
}

RelationData RenderContext::RelationOf(const ManifestNode& of) const {
  RelationData data;
  if (of.is_ephemeral()) {
    data.identifier = "__dbt__cte__" + of.alias;
    data.type = "cte";
    data.quote_identifier = false;
    data.include_database = data.include_schema = false;
    return data;
  }
  data.database = of.database;
  data.schema = of.schema;
  data.identifier = of.alias;
  Json quoting = Json::object();
  if (workspace.root().quoting.is_object()) quoting.update(workspace.root().quoting);
  if (of.type == ResourceType::kSource && of.quoting.is_object()) quoting.update(of.quoting);
  if (of.config.contains("quoting") && of.config["quoting"].is_object()) quoting.update(of.config["quoting"]);
  auto flag = [&](const char* key) {
    auto it = quoting.find(key);
    return it == quoting.end() || it->is_null() ? true : it->is_boolean() && it->get<bool>();
  };
  data.quote_database = flag("database");
  data.quote_schema = flag("schema");
  data.quote_identifier = flag("identifier");
  return data;
}

Value RenderContext::Model() {
  if (!model_) {
    model_ = node ? NodeValue(*node) : Value::NewDict();
    if (compiled_code) {
      Put(*model_, "compiled_code", *compiled_code);
      Put(*model_, "compiled_sql", *compiled_code);
      Put(*model_, "compiled", true);
    }
  }
  return *model_;
}

Result<std::optional<Value>> RenderContext::Find(std::string_view name, State& state) {
  if (auto it = locals.find(name); it != locals.end()) return it->second;
  if (shared) {
    if (auto it = shared->find(name); it != shared->end()) return it->second;
  }
  if (name == "execute") return Value(execute());
  if (name == "model" && node) return Model();
  if (name == "this") {
    if (!node || node->type == ResourceType::kOperation || node->type == ResourceType::kAnalysis) return Value();
    RelationData data = RelationOf(*node);
    return MakeRelation(std::move(data));
  }
  if (name == "selected_resources") return selected ? ListOf(*selected) : Value::NewList();
  if (name == "graph")
    return execute() ? workspace.GraphValue()
                     : Value::NewDict({{"nodes", Value::NewDict()},
                                       {"sources", Value::NewDict()},
                                       {"exposures", Value::NewDict()},
                                       {"metrics", Value::NewDict()},
                                       {"groups", Value::NewDict()}});
  if (name == "logical_date" || name == "data_interval_start" || name == "data_interval_end") {
    if (run) return Var(std::string(name));
  }
  if (const Value* value = workspace.Global(name)) return *value;
  (void)state;
  return std::nullopt;
}

std::vector<std::string> AdapterPrefixes(const std::string& type) {
  if (type == "quern") return {"quern", "duckdb", "default"};
  return {type, "default"};
}

Error PlaceSqlError(Error error, const Value& sql) {
  if (!error.pos().file.empty() || error.pos().line <= 0 || !sql.is_string()) return error;
  const jinja::StringRep* rep = sql.AsStringRep();
  if (!rep || !rep->map) return error;
  jinja::RenderResult text{rep->text, *rep->map};
  jinja::OutputPlace place = text.Locate(error.pos().line, error.pos().column);
  if (!place.pos.known()) return error;
  Error placed(error.code(), error.message());
  placed = std::move(placed).At(place.pos);
  if (!error.hint().empty()) placed = std::move(placed).Hint(error.hint());
  for (const auto& [field, value] : error.fields()) placed = std::move(placed).With(field, value);
  // where the text was printed, innermost first; places in our own macros help nobody
  for (const SourcePos& pos : place.printed_by) {
    if (pos.file.rfind("quern:", 0) == 0 || pos == place.pos) continue;
    placed = std::move(placed).Trace("used", pos);
  }
  for (const Error::Frame& frame : error.trace()) placed = std::move(placed).Trace(frame.what, frame.pos);
  return placed;
}

namespace {

class MacroNamespace : public jinja::Object {
 public:
  MacroNamespace(const MacroRegistry& registry, std::string package)
      : registry_(registry), package_(std::move(package)) {}
  std::string TypeName() const override { return "MacroNamespace"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override {
    const Macro* macro = registry_.Find(package_, name);
    if (!macro) {
      std::string hint = DidYouMean(name, registry_.Names(package_));
      Error error(ErrorCode::kTemplateUndefined, "package '" + package_ + "' has no macro '" + std::string(name) + "'");
      if (!hint.empty()) error = std::move(error).Hint(hint);
      auto& context = RenderContext::Of(state);
      if (context.mode == RenderContext::Mode::kParse) return std::nullopt;
      return Fail(std::move(error).At(state.place()));
    }
    auto& context = RenderContext::Of(state);
    if (context.capture && state.macro_stack().empty()) context.capture->macros.push_back(macro->node->unique_id);
    return macro->callable;
  }
  Result<std::optional<Value>> Item(const Value& key, State& state) override {
    if (!key.is_string()) return std::nullopt;
    return Attribute(key.AsString(), state);
  }
  Result<std::optional<bool>> Contains(const Value& value) const override {
    return value.is_string() && registry_.Find(package_, value.AsString());
  }

 private:
  const MacroRegistry& registry_;
  std::string package_;
};

}  // namespace

Value MakeMacroNamespace(const MacroRegistry& registry, std::string package) {
  return Value(jinja::MakeRef<MacroNamespace>(registry, std::move(package)));
}

Value NodeValue(const ManifestNode& n) {
  auto optional = [](const std::optional<std::string>& text) { return text ? Value(*text) : Value(); };
  Value out = Value::NewDict();
  Put(out, "database", Value(n.database));
  Put(out, "schema", Value(n.schema));
  Put(out, "name", Value(n.name));
  Put(out, "resource_type", Value(std::string(ResourceTypeName(n.type))));
  Put(out, "package_name", Value(n.package));
  Put(out, "path", Value(n.path));
  Put(out, "original_file_path", Value(n.original_file_path));
  Put(out, "root_path", Value(n.root.string()));
  Put(out, "unique_id", Value(n.unique_id));
  Put(out, "fqn", ListOf(n.fqn));
  Put(out, "description", Value(n.description));
  Put(out, "meta", Value::FromJson(n.meta));
  Put(out, "tags", ListOf(n.tags));
  Put(out, "relation_name", optional(n.relation_name));
  Value columns = Value::NewDict();
  for (const ColumnInfo& c : n.columns) {
    Value column = Value::NewDict({{"name", Value(c.name)},
                                   {"description", Value(c.description)},
                                   {"meta", Value::FromJson(c.meta)},
                                   {"data_type", optional(c.data_type)},
                                   {"constraints", Value::FromJson(c.constraints)},
                                   {"quote", c.quote ? Value(*c.quote) : Value()},
                                   {"tags", ListOf(c.tags)}});
    Put(columns, c.name, std::move(column));
  }
  Put(out, "columns", std::move(columns));
  if (n.type == ResourceType::kSource) {
    Put(out, "source_name", Value(n.source_name));
    Put(out, "source_description", Value(n.source_description));
    Put(out, "source_meta", Value::FromJson(n.source_meta));
    Put(out, "loader", Value(n.loader));
    Put(out, "identifier", Value(n.alias));
    Put(out, "quoting", Value::FromJson(n.quoting));
    Put(out, "freshness", Value::FromJson(n.freshness));
    Put(out, "loaded_at_field", optional(n.loaded_at_field));
    Put(out, "external", Value::FromJson(n.external));
    Put(out, "config", Value::FromJson(n.config));
    return out;
  }
  Put(out, "alias", Value(n.alias));
  Put(out, "language", Value(n.language));
  Put(out, "raw_code", Value(n.raw_code));
  Put(out, "raw_sql", Value(n.raw_code));
  Put(out, "config", Value::FromJson(n.config));
  Put(out, "checksum",
      Value::NewDict({{"name", n.checksum.empty() ? "none" : "sha256"}, {"checksum", Value(n.checksum)}}));
  Put(out, "patch_path", optional(n.patch_path));
  Put(out, "group", optional(n.group));
  Put(out, "access", Value(n.access));
  Put(out, "constraints", Value::FromJson(n.constraints));
  Put(out, "docs", Value::FromJson(n.docs));
  Put(out, "version", Value());
  auto contract = n.config.find("contract");
  Put(out, "contract", contract != n.config.end() ? Value::FromJson(*contract) : Value::NewDict({{"enforced", false}}));
  Put(out, "depends_on", Value::NewDict({{"nodes", ListOf(n.depends_on)}, {"macros", ListOf(n.depends_on_macros)}}));
  std::vector<Value> refs, sources;
  for (const Ref& ref : n.refs)
    refs.push_back(Value::NewDict(
        {{"name", Value(ref.name)}, {"package", optional(ref.package)}, {"version", optional(ref.version)}}));
  for (const SourceRef& source : n.sources)
    sources.push_back(Value::NewList({Value(source.source), Value(source.table)}));
  Put(out, "refs", Value::NewList(std::move(refs)));
  Put(out, "sources", Value::NewList(std::move(sources)));
  if (n.test) {
    Put(out, "test_metadata",
        Value::NewDict({{"name", Value(n.test->name)},
                        {"namespace", optional(n.test->package)},
                        {"kwargs", Value::FromJson(n.test->kwargs)}}));
    Put(out, "column_name", optional(n.test->column_name));
    Put(out, "file_key_name", Value(n.test->file_key_name));
    Put(out, "attached_node", optional(n.test->attached_node));
  }
  return out;
}

}  // namespace quern::dbt
