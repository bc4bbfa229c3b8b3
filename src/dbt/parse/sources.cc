// Sources, exposures, descriptions of macros, columns.
#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/parse/parser.h"

namespace quern::dbt {

using jinja::Value;

namespace {

std::vector<std::string> TextsOf(const Yaml* yaml) {
  std::vector<std::string> out;
  if (!yaml || yaml->is_null()) return out;
  if (yaml->is_sequence()) {
    for (const Yaml& item : yaml->items()) out.push_back(item.text());
  } else {
    out.push_back(yaml->text());
  }
  return out;
}

void AddUnique(std::vector<std::string>& to, const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
  }
}

}  // namespace

Json Parser::ParseConstraints(const Package& package, const Yaml& yaml, bool of_model) {
  static const std::vector<std::string> kTypes = {"not_null",    "check",       "unique",
                                                  "primary_key", "foreign_key", "custom"};
  Json out = Json::array();
  for (const Yaml& item : yaml.items()) {
    Json constraint = {
        {"type", nullptr},          {"name", nullptr}, {"expression", nullptr},      {"warn_unenforced", true},
        {"warn_unsupported", true}, {"to", nullptr},   {"to_columns", Json::array()}};
    if (of_model) constraint["columns"] = Json::array();
    Json written = Rendered(package, item);
    std::string type = written.is_object() && written.contains("type") && written["type"].is_string()
                           ? written["type"].get<std::string>()
                           : "";
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      diagnostics_.Add(Error(ErrorCode::kDbtParse, "a constraint's type is one of " + Join(kTypes, ", "))
                           .At(item.pos())
                           .Hint(DidYouMean(type, kTypes)));
      continue;
    }
    constraint.update(written);
    out.push_back(std::move(constraint));
  }
  return out;
}

std::vector<ColumnInfo> Parser::ParseColumns(const Package& package, const Yaml& owner, const std::string& what) {
  std::vector<ColumnInfo> out;
  const Yaml* columns = owner.Find("columns");
  if (!columns || columns->is_null()) return out;
  if (!columns->is_sequence()) {
    diagnostics_.Add(Error(ErrorCode::kWrongType, "columns of " + what + " must be a list, not " + columns->KindName())
                         .At(columns->pos()));
    return out;
  }
  static const std::vector<std::string> kKeys = {
      "name",       "description", "data_type",   "quote",       "meta",    "tags",    "constraints", "tests",
      "data_tests", "config",      "granularity", "policy_tags", "include", "exclude", "dimension",   "entity"};
  for (const Yaml& item : columns->items()) {
    const Yaml* name = item.Find("name");
    if (!item.is_mapping() || !name) {
      if (!item.Find("include"))
        diagnostics_.Add(Error(ErrorCode::kMissingKey, "a column of " + what + " needs a name").At(item.pos()));
      continue;
    }
    ColumnInfo column;
    column.name = name->text();
    column.pos = item.pos();
    CheckKeys(item, kKeys, "column '" + column.name + "'");
    column.description = Description(package, item.Find("description"), &column.doc_blocks);
    if (const Yaml* type = item.Find("data_type"); type && !type->is_null()) {
      Json rendered = Rendered(package, *type);
      column.data_type = rendered.is_string() ? rendered.get<std::string>() : rendered.dump();
    }
    if (const Yaml* quote = item.Find("quote"); quote && quote->kind() == Yaml::Kind::kBool)
      column.quote = quote->AsBool();
    if (const Yaml* meta = item.Find("meta"); meta && meta->is_mapping()) column.meta = Rendered(package, *meta);
    column.tags = TextsOf(item.Find("tags"));
    if (const Yaml* config = item.Find("config"); config && config->is_mapping()) {
      if (const Yaml* meta = config->Find("meta"); meta && meta->is_mapping())
        column.meta.update(Rendered(package, *meta));
      AddUnique(column.tags, TextsOf(config->Find("tags")));
    }
    if (const Yaml* constraints = item.Find("constraints"); constraints && constraints->is_sequence())
      column.constraints = ParseConstraints(package, *constraints, false);
    if (const Yaml* granularity = item.Find("granularity"); granularity && !granularity->is_null())
      column.granularity = granularity->text();
    if (std::any_of(out.begin(), out.end(), [&](const ColumnInfo& c) { return c.name == column.name; })) {
      diagnostics_.Warn(Error(ErrorCode::kDbtParse, "column '" + column.name + "' of " + what + " is described twice")
                            .At(item.pos()));
      continue;
    }
    out.push_back(std::move(column));
  }
  return out;
}

void Parser::ParseSources(const Package& package) {
  static const std::vector<std::string> kKeys = {
      "name",    "description", "database", "schema", "loader", "loaded_at_field", "loaded_at_query", "freshness",
      "quoting", "tags",        "meta",     "config", "tables", "overrides",       "catalog"};
  for (const auto& entry : properties_) {
    if (entry->section != "sources" || entry->package != &package) continue;
    entry->used = true;
    CheckKeys(entry->yaml, kKeys, "source '" + entry->name + "'");
    const Yaml* tables = entry->yaml.Find("tables");
    if (!tables || !tables->is_sequence()) {
      diagnostics_.Add(
          Error(ErrorCode::kMissingKey, "source '" + entry->name + "' has no list of tables").At(entry->yaml.pos()));
      continue;
    }
    for (const Yaml& table : tables->items()) {
      const Yaml* name = table.Find("name");
      if (!table.is_mapping() || !name) {
        diagnostics_.Add(
            Error(ErrorCode::kMissingKey, "a table of source '" + entry->name + "' needs a name").At(table.pos()));
        continue;
      }
      ParseSourceTable(package, *entry, entry->yaml, table);
    }
  }
}

void Parser::ParseSourceTable(const Package& package, const Properties& file, const Yaml& source, const Yaml& table) {
  static const std::vector<std::string> kKeys = {"name",
                                                 "description",
                                                 "identifier",
                                                 "columns",
                                                 "tests",
                                                 "data_tests",
                                                 "loaded_at_field",
                                                 "loaded_at_query",
                                                 "freshness",
                                                 "quoting",
                                                 "tags",
                                                 "meta",
                                                 "config",
                                                 "external",
                                                 "docs",
                                                 "loader",
                                                 "quote_columns"};
  auto node = std::make_unique<ManifestNode>();
  node->type = ResourceType::kSource;
  node->source_name = file.name;
  node->name = table.Find("name")->text();
  std::string what = "source table '" + node->source_name + "." + node->name + "'";
  CheckKeys(table, kKeys, what);
  node->package = package.name;
  node->root = package.root;
  node->unique_id = "source." + package.name + "." + node->source_name + "." + node->name;
  node->path = node->original_file_path = file.original_file_path;
  node->pos = table.pos();
  node->created_at = static_cast<double>(MicrosSinceEpoch(w_.invocation().started)) / 1e6;
  node->fqn = {package.name};
  std::filesystem::path folder = std::filesystem::path(file.relative_path).parent_path();
  for (const auto& part : folder) node->fqn.push_back(part.string());
  node->fqn.push_back(node->source_name);
  node->fqn.push_back(node->name);
  auto text = [&](const Yaml* yaml) -> std::optional<std::string> {
    if (!yaml || yaml->is_null()) return std::nullopt;
    Json json = Rendered(package, *yaml);
    if (json.is_null()) return std::nullopt;
    return json.is_string() ? json.get<std::string>() : json.dump();
  };
  node->schema = text(source.Find("schema")).value_or(node->source_name);
  node->database = text(source.Find("database")).value_or(w_.target().database);
  node->alias = text(table.Find("identifier")).value_or(node->name);
  if (const Yaml* y = source.Find("schema")) node->unrendered_schema = y->text();
  if (const Yaml* y = source.Find("database")) node->unrendered_database = y->text();
  node->loader = text(source.Find("loader")).value_or("");
  node->source_description = Description(package, source.Find("description"), nullptr);
  node->description = Description(package, table.Find("description"), &node->doc_blocks);
  node->columns = ParseColumns(package, table, what);
  if (const Yaml* meta = source.Find("meta"); meta && meta->is_mapping()) node->source_meta = Rendered(package, *meta);
  if (const Yaml* external = table.Find("external"); external && !external->is_null())
    node->external = Rendered(package, *external);
  node->quoting = {{"database", nullptr}, {"schema", nullptr}, {"identifier", nullptr}, {"column", nullptr}};
  for (const Yaml* level : {source.Find("quoting"), table.Find("quoting")}) {
    if (level && level->is_mapping()) node->quoting.update(level->ToJson());
  }
  // top-level tags, meta and freshness belong to the config; the table's come over the source's
  Json patch = Json::object();
  for (const Yaml* level : {&source, &table}) {
    Json written = Json::object();
    for (const char* key : {"tags", "meta", "loaded_at_field", "loaded_at_query"}) {
      if (const Yaml* value = level->Find(key); value && !value->is_null()) written[key] = Rendered(package, *value);
    }
    if (const Yaml* value = level->Find("freshness"))
      written["freshness"] = value->is_null() ? Json() : Rendered(package, *value);
    MergeConfig(patch, written);
    if (const Yaml* config = level->Find("config"); config && config->is_mapping())
      MergeConfig(patch, Rendered(package, *config));
  }
  if (patch.contains("freshness") && patch["freshness"].is_object()) {
    Json freshness = DefaultConfig(ResourceType::kSource)["freshness"];
    for (const auto& [key, value] : patch["freshness"].items()) {
      if (value.is_object())
        freshness[key].update(value);
      else
        freshness[key] = value;
    }
    patch["freshness"] = freshness;
  }
  ConfigLayers layers{node->type, &node->fqn, &package, &w_.root(), &patch, nullptr};
  node->config = ResolveConfig(layers);
  node->unrendered_config = WrittenConfig(layers);
  node->config["enabled"] = ConfigTruth(node->config.value("enabled", Json(true)));
  node->tags = ConfigTexts(node->config["tags"]);
  node->meta = node->config["meta"];
  node->freshness = node->config["freshness"];
  if (node->config["loaded_at_field"].is_string())
    node->loaded_at_field = node->config["loaded_at_field"].get<std::string>();
  {
    RenderContext context(w_, package, node.get(), RenderContext::Mode::kParse);
    node->relation_name = context.RelationOf(*node).Render();
  }
  std::string id = node->unique_id;
  if (!node->enabled()) {
    m_.disabled[id].push_back(std::move(node));
    return;
  }
  auto there = m_.sources.find(id);
  if (there != m_.sources.end()) {
    diagnostics_.Add(Error(ErrorCode::kDbtParse, what + " is declared twice")
                         .At(node->pos)
                         .Hint("the other is at " + there->second->pos.ToString()));
    return;
  }
  m_.source_index.emplace(node->source_name + "." + node->name, id);
  m_.sources.emplace(id, std::move(node));
}

void Parser::ParseExposures(const Package& package) {
  static const std::vector<std::string> kKeys = {"name", "type",     "owner", "depends_on", "description", "label",
                                                 "url",  "maturity", "tags",  "meta",       "config"};
  for (const auto& entry : properties_) {
    if (entry->section != "exposures" || entry->package != &package) continue;
    entry->used = true;
    const Yaml& yaml = entry->yaml;
    CheckKeys(yaml, kKeys, "exposure '" + entry->name + "'");
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kExposure;
    node->name = entry->name;
    node->package = package.name;
    node->root = package.root;
    node->unique_id = "exposure." + package.name + "." + entry->name;
    node->path = entry->relative_path;
    node->original_file_path = entry->original_file_path;
    node->pos = yaml.pos();
    node->created_at = static_cast<double>(MicrosSinceEpoch(w_.invocation().started)) / 1e6;
    node->fqn = {package.name};
    std::filesystem::path folder = std::filesystem::path(entry->relative_path).parent_path();
    for (const auto& part : folder) node->fqn.push_back(part.string());
    node->fqn.push_back(entry->name);
    static const std::vector<std::string> kTypes = {"dashboard", "notebook", "analysis", "ml", "application"};
    if (const Yaml* type = yaml.Find("type")) node->exposure_type = type->text();
    if (std::find(kTypes.begin(), kTypes.end(), node->exposure_type) == kTypes.end()) {
      const Yaml* type = yaml.Find("type");
      std::string hint = DidYouMean(node->exposure_type, kTypes);
      diagnostics_.Add(
          Error(ErrorCode::kDbtParse, "an exposure's type must be dashboard, notebook, analysis, ml or application")
              .At(type ? type->pos() : yaml.pos())
              .Hint(hint));
    }
    if (const Yaml* owner = yaml.Find("owner"); owner && owner->is_mapping()) {
      node->owner = Rendered(package, *owner);
    } else {
      diagnostics_.Add(Error(ErrorCode::kMissingKey, "exposure '" + entry->name + "' needs an owner").At(yaml.pos()));
    }
    if (!node->owner.contains("email")) node->owner["email"] = nullptr;
    if (!node->owner.contains("name")) node->owner["name"] = nullptr;
    node->description = Description(package, yaml.Find("description"), &node->doc_blocks);
    for (auto [key, field] : {std::pair{"label", &node->label}, {"url", &node->url}, {"maturity", &node->maturity}}) {
      if (const Yaml* value = yaml.Find(key); value && !value->is_null()) *field = value->text();
    }
    Json patch = Json::object();
    for (const char* key : {"tags", "meta"}) {
      if (const Yaml* value = yaml.Find(key); value && !value->is_null()) patch[key] = Rendered(package, *value);
    }
    if (const Yaml* config = yaml.Find("config"); config && config->is_mapping())
      MergeConfig(patch, Rendered(package, *config));
    ConfigLayers layers{node->type, &node->fqn, &package, &w_.root(), &patch, nullptr};
    node->config = ResolveConfig(layers);
    node->config["enabled"] = ConfigTruth(node->config.value("enabled", Json(true)));
    node->unrendered_config = WrittenConfig(layers);
    node->tags = ConfigTexts(node->config["tags"]);
    node->meta = node->config["meta"];
    if (const Yaml* depends = yaml.Find("depends_on"); depends && depends->is_sequence()) {
      ParseCapture capture;
      for (const Yaml& item : depends->items()) {
        RenderContext context(w_, package, node.get(), RenderContext::Mode::kParse);
        context.capture = &capture;
        std::string text = HasJinja(item.text()) ? item.text() : "{{ " + item.text() + " }}";
        SourcePos pos = item.pos();
        if (!HasJinja(item.text())) pos.column = std::max(1, pos.column - 3);
        Result<Value> value = w_.RenderYamlText(text, pos, context);
        if (!value) diagnostics_.Add(std::move(std::move(value).error()).At(item.pos()));
      }
      node->refs = std::move(capture.refs);
      node->sources = std::move(capture.sources);
    }
    std::string id = node->unique_id;
    if (!node->enabled())
      m_.disabled[id].push_back(std::move(node));
    else
      m_.exposures.emplace(id, std::move(node));
  }
}

void Parser::ParseMacroProperties(const Package& package) {
  static const std::vector<std::string> kKeys = {"name", "description", "arguments", "docs", "meta", "config"};
  for (const auto& entry : properties_) {
    if (entry->section != "macros" || entry->package != &package) continue;
    auto it = m_.macros.find("macro." + package.name + "." + entry->name);
    if (it == m_.macros.end()) it = m_.macros.find("macro." + package.name + ".test_" + entry->name);
    entry->used = true;
    CheckKeys(entry->yaml, kKeys, "macro '" + entry->name + "'");
    if (it == m_.macros.end()) {
      if (package.is_root) {
        diagnostics_.Warn(Error(ErrorCode::kDbtParse, "there is no macro '" + entry->name + "'")
                              .At(entry->yaml.pos())
                              .Hint(DidYouMean(entry->name, w_.macros().Names(package.name))));
      }
      continue;
    }
    MacroNode& macro = it->second;
    macro.patch_path = package.name + "://" + entry->original_file_path;
    macro.description = Description(package, entry->yaml.Find("description"), nullptr);
    if (const Yaml* meta = entry->yaml.Find("meta"); meta && meta->is_mapping()) macro.meta = Rendered(package, *meta);
    if (const Yaml* docs = entry->yaml.Find("docs"); docs && docs->is_mapping()) macro.docs.update(docs->ToJson());
    if (const Yaml* arguments = entry->yaml.Find("arguments"); arguments && arguments->is_sequence()) {
      macro.arguments = Json::array();
      for (const Yaml& argument : arguments->items()) {
        const Yaml* name = argument.Find("name");
        const Yaml* type = argument.Find("type");
        macro.arguments.push_back({{"name", name ? name->text() : ""},
                                   {"type", type ? Json(type->text()) : Json()},
                                   {"description", Description(package, argument.Find("description"), nullptr)}});
      }
    }
  }
}

}  // namespace quern::dbt
