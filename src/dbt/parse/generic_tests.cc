#include <re2/re2.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/context/values.h"
#include "dbt/parse/parser.h"
#include "dbt/parse/test_kwargs.h"
#include "dbt/test_names.h"
#include "dbt/yaml_value.h"

namespace quern::dbt {

using jinja::Value;

struct Parser::TestTarget {
  const Package* package = nullptr;
  const Properties* file = nullptr;
  bool source = false;
  std::string name;      ///< in the test's name: "stg_orders", "raw_customers"
  std::string model;     ///< "{{ get_where_subquery(ref('stg_orders')) }}"
  std::string key_name;  ///< "models.stg_orders"
  const ManifestNode* attached = nullptr;
  const std::vector<ColumnInfo>* columns = nullptr;
  std::vector<std::string> tags;  ///< of a source: its tests have them too
};

namespace {

const std::vector<std::string> kConfigArgs = {
    "severity",  "tags",           "enabled",           "where", "limit",    "warn_if", "error_if",
    "fail_calc", "store_failures", "store_failures_as", "meta",  "database", "schema",  "alias"};

std::string PythonLiteral(const Json& value) {
  if (value.is_string()) return "\"" + ReplaceAll(value.get<std::string>(), "\"", "\\\"") + "\"";
  return Value::FromJson(value).Repr();
}

}  // namespace

Result<Value> RenderTestKwargs(const Workspace& workspace, const Value& kwargs, const SourcePos& pos,
                               const std::string& package, RenderContext& context) {
  static const RE2 kLooksLikeCall(R"(\s*(env_var|ref|var|source|doc)\s*\((?s:.+)\)\s*)");
  std::function<Result<Value>(const Value&, bool)> walk = [&](const Value& value, bool column_name) -> Result<Value> {
    if (value.is_dict()) {
      Value out = Value::NewDict();
      for (const auto& entry : value.AsDict().entries())
        out.AsDict().Set(entry.key, QUERN_TRY(walk(entry.value, false)));
      return out;
    }
    if (value.is_list()) {
      std::vector<Value> items;
      for (const Value& item : value.AsList().items) items.push_back(QUERN_TRY(walk(item, false)));
      return Value::NewList(std::move(items));
    }
    if (!value.is_string() || column_name) return value;
    std::string text = value.AsString();
    if (RE2::FullMatch(text, kLooksLikeCall)) text = "{{ " + text + " }}";
    if (!HasJinja(text)) return value;
    jinja::TemplatePtr compiled = QUERN_TRY(workspace.jinja().Compile(text, pos.file, pos));
    return compiled->RenderNative(workspace.ScopeOf(package), context.Options());
  };
  Value out = Value::NewDict();
  for (const auto& entry : kwargs.AsDict().entries()) {
    out.AsDict().Set(entry.key,
                     QUERN_TRY(walk(entry.value, entry.key.is_string() && entry.key.AsString() == "column_name")));
  }
  return out;
}

void Parser::ParseGenericTests(const Package& package) {
  for (const auto& entry : properties_) {
    if (entry->package != &package) continue;
    if (entry->section == "sources") {
      const Yaml* tables = entry->yaml.Find("tables");
      if (!tables) continue;
      for (const Yaml& table : tables->items()) {
        const Yaml* name = table.Find("name");
        if (!name) continue;
        const ManifestNode* node = m_.Find("source." + package.name + "." + entry->name + "." + name->text());
        if (!node) continue;
        TestTarget target;
        target.package = &package;
        target.file = entry.get();
        target.source = true;
        target.name = entry->name + "_" + name->text();
        target.model = "{{ get_where_subquery(source('" + entry->name + "', '" + name->text() + "')) }}";
        target.key_name = "sources." + entry->name;
        target.columns = &node->columns;
        target.tags = node->tags;
        ParseTestsOf(target, table);
      }
    } else if (entry->section == "models" || entry->section == "seeds" || entry->section == "snapshots") {
      if (broken_.count(entry->name)) continue;
      std::string type = entry->section.substr(0, entry->section.size() - 1);
      const ManifestNode* node = m_.Find(type + "." + package.name + "." + entry->name);
      if (!node) continue;  // disabled, or reported as fitting nothing
      TestTarget target;
      target.package = &package;
      target.file = entry.get();
      target.name = entry->name;
      target.model = "{{ get_where_subquery(ref('" + entry->name + "')) }}";
      target.key_name = entry->section + "." + entry->name;
      target.attached = node;
      target.columns = &node->columns;
      ParseTestsOf(target, entry->yaml);
    }
  }
}

void Parser::ParseTestsOf(const TestTarget& target, const Yaml& owner) {
  auto each = [&](const Yaml& holder, const ColumnInfo* column) {
    for (const char* key : {"tests", "data_tests"}) {
      const Yaml* tests = holder.Find(key);
      if (!tests || tests->is_null()) continue;
      if (!tests->is_sequence()) {
        diagnostics_.Add(Error(ErrorCode::kWrongType, std::string(key) + " must be a list, not " + tests->KindName())
                             .At(tests->pos()));
        continue;
      }
      for (const Yaml& test : tests->items()) ParseTest(target, test, column);
    }
  };
  if (const Yaml* columns = owner.Find("columns"); columns && columns->is_sequence()) {
    for (const Yaml& item : columns->items()) {
      const Yaml* name = item.Find("name");
      if (!name) continue;
      for (const ColumnInfo& column : *target.columns) {
        if (column.name == name->text() && column.pos == item.pos()) each(item, &column);
      }
    }
  }
  each(owner, nullptr);
}

void Parser::ParseTest(const TestTarget& target, const Yaml& test, const ColumnInfo* column) {
  const Package& package = *target.package;
  std::string test_name;
  const Yaml* body = nullptr;
  SourcePos pos = test.pos();
  if (test.is_string()) {
    test_name = test.text();
  } else if (test.is_mapping() && test.Find("test_name")) {
    test_name = test.Find("test_name")->text();
    body = &test;
  } else if (test.is_mapping() && test.entries().size() == 1) {
    test_name = test.entries()[0].first.text();
    pos = test.entries()[0].first.pos();
    body = &test.entries()[0].second;
    if (body->is_null()) body = nullptr;
    if (body && !body->is_mapping()) {
      diagnostics_.Add(Error(ErrorCode::kWrongType,
                             "the arguments of test '" + test_name + "' must be a mapping, not " + body->KindName())
                           .At(body->pos()));
      return;
    }
  } else {
    diagnostics_.Add(Error(ErrorCode::kDbtParse, "a test is a name, or one name with its arguments below")
                         .At(pos)
                         .Hint("indent the arguments below the test's name"));
    return;
  }

  // arguments, in dbt's order: what stands at the top, the column, then `arguments:`
  Value kwargs = Value::NewDict();
  Json config = Json::object();
  std::string description;
  std::optional<std::string> own_name;
  if (body) {
    const Yaml* written_config = body->Find("config");
    if (written_config && written_config->is_mapping()) config = Rendered(package, *written_config);
    for (const auto& [key, value] : body->entries()) {
      const std::string& k = key.text();
      if (k == "config" || k == "arguments" || (body == &test && k == "test_name")) continue;
      if (k == "name") {
        own_name = value.text();
      } else if (k == "description") {
        description = Description(package, &value, nullptr);
      } else if (std::find(kConfigArgs.begin(), kConfigArgs.end(), k) != kConfigArgs.end()) {
        config[k] = Rendered(package, value);
      } else {
        kwargs.AsDict().Set(FromYaml(key), FromYaml(value));
      }
    }
  }
  if (column)
    Put(kwargs, "column_name", Value(column->quote.value_or(false) ? "\"" + column->name + "\"" : column->name));
  if (body) {
    if (const Yaml* arguments = body->Find("arguments"); arguments && arguments->is_mapping()) {
      for (const auto& [key, value] : arguments->entries()) kwargs.AsDict().Set(FromYaml(key), FromYaml(value));
    } else if (arguments && !arguments->is_null()) {
      diagnostics_.Add(Error(ErrorCode::kWrongType, "arguments must be a mapping, not " + arguments->KindName())
                           .At(arguments->pos()));
    }
  }
  if (kwargs.Get("model")) {
    diagnostics_.Add(Error(ErrorCode::kDbtParse, "a test's argument cannot be called 'model'").At(pos));
    return;
  }
  for (auto it = config.begin(); it != config.end();) it = it->is_null() ? config.erase(it) : std::next(it);
  Put(kwargs, "model", Value(target.model));

  std::optional<std::string> test_package;
  std::string bare = test_name;
  if (size_t dot = test_name.find('.'); dot != std::string::npos) {
    test_package = test_name.substr(0, dot);
    bare = test_name.substr(dot + 1);
  }
  std::string type = (target.source ? "source_" : "") + bare;
  if (test_package) type = *test_package + "_" + type;
  std::string full, brief;
  if (own_name) {
    full = brief = *own_name;
  } else {
    TestNames names = SynthesizeTestNames(type, target.name, kwargs);
    full = names.full;
    brief = names.brief;
    if (full != brief && !config.contains("alias")) config["alias"] = brief;
  }

  const Macro* macro =
      test_package ? w_.macros().Find(*test_package, "test_" + bare) : w_.macros().Lookup(package.name, "test_" + bare);
  if (!macro) {
    std::vector<std::string> known;
    for (const std::string& from :
         {std::string(kBuiltinPackage), w_.root().name, test_package.value_or(package.name)}) {
      for (const std::string& name : w_.macros().Names(from)) {
        if (name.rfind("test_", 0) == 0) known.push_back(name.substr(5));
      }
    }
    Error error =
        Error(ErrorCode::kDbtParse, test_package && !w_.macros().HasPackage(*test_package)
                                        ? "there is no package '" + *test_package + "' for the test '" + test_name + "'"
                                        : "there is no test '" + test_name + "'")
            .At(pos);
    std::string hint = DidYouMean(bare, known);
    if (hint.empty()) hint = "write {% test " + bare + "(model, column_name) %} in tests/generic/";
    diagnostics_.Add(std::move(error).Hint(hint));
    return;
  }

  auto node = std::make_unique<ManifestNode>();
  node->type = ResourceType::kTest;
  node->name = full;
  node->package = package.name;
  node->root = package.root;
  node->path = brief + ".sql";
  node->original_file_path = target.file->original_file_path;
  node->pos = pos;
  node->code_pos = pos;
  node->created_at = static_cast<double>(MicrosSinceEpoch(w_.invocation().started)) / 1e6;
  node->unique_id = "test." + package.name + "." + full + "." +
                    TestHash(full, bare, test_package ? Value(*test_package) : Value(), kwargs);
  node->fqn = {package.name};
  std::filesystem::path folder = std::filesystem::path(target.file->relative_path).parent_path();
  for (const auto& part : folder) node->fqn.push_back(part.string());
  node->fqn.push_back(full);
  node->description = description;
  std::string call;
  for (const auto& [key, value] : config.items()) call += (call.empty() ? "" : ",") + key + "=" + PythonLiteral(value);
  std::string macro_name = test_package ? *test_package + ".test_" + bare : "test_" + bare;
  node->raw_code =
      "{{ " + macro_name + "(**_dbt_generic_test_kwargs) }}" + (call.empty() ? "" : "{{ config(" + call + ") }}");
  TestMetadata metadata;
  metadata.name = bare;
  metadata.package = test_package;
  if (Result<Json> json = kwargs.ToJson()) metadata.kwargs = *std::move(json);
  metadata.arguments = kwargs;
  if (column) metadata.column_name = column->name;
  metadata.file_key_name = target.key_name;
  if (target.attached) {
    metadata.attached_node = target.attached->unique_id;
    node->group = target.attached->group;
  }
  kwargs.Freeze();
  node->test = std::move(metadata);
  node->alias = full;
  node->database = w_.target().database;
  node->schema = w_.target().schema;
  node->tags = target.tags;
  if (column) node->tags.insert(node->tags.end(), column->tags.begin(), column->tags.end());
  for (const std::string& tag : ConfigTexts(config.value("tags", Json()))) node->tags.push_back(tag);
  std::sort(node->tags.begin(), node->tags.end());
  node->tags.erase(std::unique(node->tags.begin(), node->tags.end()), node->tags.end());

  // refs hidden in the arguments, in the macro, and config() calls of the macro
  ParseCapture capture;
  ConfigLayers layers{node->type, &node->fqn, &package, &w_.root(), nullptr, &config};
  Json base = ResolveConfig(layers);
  if (!ConfigTruth(base.value("enabled", Json(true)))) {
    node->config = base;
    node->config["enabled"] = false;
    ResolveNames(*node, package);
    m_.disabled[node->unique_id].push_back(std::move(node));
    return;
  }
  bool plain = macro->node->package == kBuiltinPackage && (bare == "unique" || bare == "not_null");
  if (plain) {
    if (target.source) {
      std::string source = target.file->name;
      capture.sources.push_back({source, target.name.substr(source.size() + 1), pos});
    } else {
      capture.refs.push_back({target.name, std::nullopt, std::nullopt, pos});
    }
    capture.macros.push_back(macro->node->unique_id);
  } else {
    RenderContext context(w_, package, node.get(), RenderContext::Mode::kParse);
    context.capture = &capture;
    context.config = &base;
    Result<Value> rendered = RenderTestKwargs(w_, kwargs, pos, package.name, context);
    if (!rendered) {
      diagnostics_.Add(
          std::move(std::move(rendered).error()).Context("test " + test_name + " of " + target.name).At(pos));
      return;
    }
    context.locals["_dbt_generic_test_kwargs"] = *rendered;
    std::vector<jinja::KeywordArg> keywords;
    std::vector<std::string> names;
    names.reserve(rendered->AsDict().size());
    for (const auto& entry : rendered->AsDict().entries()) names.push_back(entry.key.ToString());
    size_t i = 0;
    for (const auto& entry : rendered->AsDict().entries()) keywords.push_back({names[i++], entry.value});
    capture.macros.insert(capture.macros.begin(), macro->node->unique_id);
    Result<Value> called = jinja::CallMacro(w_.jinja(), macro->callable, {}, std::move(keywords),
                                            w_.ScopeOf(package.name), context.Options());
    if (!called) {
      diagnostics_.Add(std::move(std::move(called).error())
                           .Context("test " + test_name + " of " + target.name)
                           .Trace("test " + test_name, pos)
                           .At(pos));
      return;
    }
    // what the test's own macro configures lies below what the properties say
    Json merged = capture.config;
    MergeConfig(merged, config);
    config = std::move(merged);
  }
  layers.call = &config;
  node->config = ResolveConfig(layers);
  node->unrendered_config = WrittenConfig(layers);
  node->config["enabled"] = true;
  for (const std::string& tag : ConfigTexts(node->config["tags"])) {
    if (std::find(node->tags.begin(), node->tags.end(), tag) == node->tags.end()) node->tags.push_back(tag);
  }
  if (node->config["meta"].is_object()) node->meta = node->config["meta"];
  node->refs = std::move(capture.refs);
  node->sources = std::move(capture.sources);
  for (std::string& id : capture.macros) {
    if (std::find(node->depends_on_macros.begin(), node->depends_on_macros.end(), id) == node->depends_on_macros.end())
      node->depends_on_macros.push_back(std::move(id));
  }
  ResolveNames(*node, package);
  if (m_.nodes.count(node->unique_id)) {
    diagnostics_.Add(Error(ErrorCode::kDbtParse, "test '" + full + "' is there twice")
                         .At(pos)
                         .Hint("give one of them a name: of its own"));
    return;
  }
  std::string id = node->unique_id;
  m_.nodes.emplace(id, std::move(node));
}

}  // namespace quern::dbt
