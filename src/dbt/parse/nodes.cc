#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/context/values.h"
#include "dbt/parse/parser.h"

namespace quern::dbt {

namespace fs = std::filesystem;
using jinja::Value;

namespace {

std::string Section(ResourceType type) {
  switch (type) {
    case ResourceType::kSeed:
      return "seeds";
    case ResourceType::kSnapshot:
      return "snapshots";
    case ResourceType::kAnalysis:
      return "analyses";
    case ResourceType::kTest:
      return "data_tests";
    default:
      return "models";
  }
}

std::vector<std::string> FqnOf(const Package& package, const std::string& relative_path, const std::string& name) {
  std::vector<std::string> fqn = {package.name};
  fs::path folder = fs::path(relative_path).parent_path();
  for (const auto& part : folder) fqn.push_back(part.string());
  fqn.push_back(name);
  return fqn;
}

/// A file's text as dbt takes it: without white space around; and where that begins.
struct Code {
  std::string text;
  SourcePos pos;
};
Code Stripped(const std::string& text, const std::string& shown) {
  std::string_view trimmed = Trim(text);
  size_t offset = trimmed.empty() ? 0 : static_cast<size_t>(trimmed.data() - text.data());
  LineColumn at = LineColumnAt(text, offset);
  return {std::string(trimmed), {shown, at.line, at.column}};
}

const std::vector<std::string> kModelKeys = {"name",
                                             "description",
                                             "columns",
                                             "config",
                                             "meta",
                                             "tags",
                                             "docs",
                                             "tests",
                                             "data_tests",
                                             "access",
                                             "group",
                                             "contract",
                                             "constraints",
                                             "latest_version",
                                             "versions",
                                             "deprecation_date",
                                             "time_spine",
                                             "primary_key",
                                             "quote_columns",
                                             "freshness",
                                             "semantic_model",
                                             "relation",
                                             "arguments",
                                             "original_file_path",
                                             "version",
                                             "agg_time_dimension",
                                             "derived_semantics",
                                             "metrics"};

}  // namespace

void Parser::ParseModels(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.model_paths, {".sql", ".py"})) {
    std::string shown = w_.Shown(package, file.original_path);
    std::string name = fs::path(file.relative_path).stem().string();
    if (file.relative_path.ends_with(".py")) {
      diagnostics_.Add(Error(ErrorCode::kDbtParse, "Python models are not built")
                           .At({shown, 1, 1})
                           .Hint("make it a script node (scripts/*.yml), which may stand in the middle of the graph"));
      broken_.insert(name);
      continue;
    }
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) {
      broken_.insert(name);
      continue;
    }
    Code code = Stripped(*text, shown);
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kModel;
    node->name = name;
    node->path = file.relative_path;
    node->original_file_path = file.original_path;
    node->fqn = FqnOf(package, file.relative_path, name);
    node->checksum = Sha256Hex(code.text);
    node->raw_code = std::move(code.text);
    node->code_pos = code.pos;
    node->pos = {shown, 1, 1};
    Properties* properties = FindProperties("models", name, package);
    if (properties && properties->yaml.Find("versions")) {
      diagnostics_.Add(
          Error(ErrorCode::kDbtParse, "versions of models are not built").At(properties->yaml.Find("versions")->pos()));
    }
    Finish(std::move(node), package, properties);
  }
}

void Parser::ParseSeeds(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.seed_paths, {".csv"})) {
    std::string shown = w_.Shown(package, file.original_path);
    std::string name = fs::path(file.relative_path).stem().string();
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kSeed;
    node->name = name;
    node->path = file.relative_path;
    node->original_file_path = file.original_path;
    node->fqn = FqnOf(package, file.relative_path, name);
    node->pos = {shown, 1, 1};
    std::error_code ec;
    // as dbt: the content's hash up to 1 MiB, the path's beyond
    if (fs::file_size(file.absolute, ec) < (1u << 20) && !ec) {
      Result<std::string> text = ReadTextFile(file.absolute, shown);
      if (!diagnostics_.Check(text)) continue;
      node->checksum = Sha256Hex(Trim(*text));
    } else {
      node->checksum = Sha256Hex(file.original_path);
    }
    Finish(std::move(node), package, FindProperties("seeds", name, package));
  }
}

void Parser::ParseSnapshots(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.snapshot_paths, {".sql"})) {
    std::string shown = w_.Shown(package, file.original_path);
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) continue;
    std::string checksum = Sha256Hex(Trim(*text));
    Result<jinja::TemplatePtr> compiled = w_.jinja().Compile(*std::move(text), shown);
    if (!diagnostics_.Check(compiled)) continue;
    bool any = false;
    for (const jinja::Block& block : (*compiled)->blocks()) {
      if (block.tag != "snapshot") continue;
      any = true;
      auto node = std::make_unique<ManifestNode>();
      node->type = ResourceType::kSnapshot;
      node->name = block.name;
      node->path = file.relative_path;
      node->original_file_path = file.original_path;
      node->fqn = {package.name};
      fs::path stem = fs::path(file.relative_path).replace_extension();
      for (const auto& part : stem) node->fqn.push_back(part.string());
      node->fqn.push_back(block.name);
      node->checksum = checksum;
      node->raw_code = block.body;
      node->code_pos = block.body_pos;
      node->pos = block.pos;
      Finish(std::move(node), package, FindProperties("snapshots", block.name, package));
    }
    if (!any) {
      diagnostics_.Warn(Error(ErrorCode::kDbtParse, "the file holds no {% snapshot %} block").At({shown, 1, 1}));
    }
  }
}

void Parser::ParseYamlSnapshots(const Package& package) {
  std::vector<Properties*> entries;
  for (const auto& entry : properties_) {
    if (entry->section == "snapshots" && entry->package == &package && entry->yaml.Find("relation"))
      entries.push_back(entry.get());
  }
  for (Properties* entry : entries) {
    const Yaml& relation = *entry->yaml.Find("relation");
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kSnapshot;
    node->name = entry->name;
    node->path = entry->relative_path + "/" + entry->name + ".sql";
    node->original_file_path = entry->original_file_path;
    node->fqn = FqnOf(package, entry->relative_path, entry->name);
    node->raw_code = "select * from {{ " + relation.text() + " }}";
    node->checksum = Sha256Hex(node->raw_code);
    // so that the place inside the braces is the relation's own
    SourcePos pos = relation.pos();
    pos.column = std::max(1, pos.column - 17);
    node->code_pos = pos;
    node->pos = entry->yaml.pos();
    entry->used = true;
    Finish(std::move(node), package, entry);
  }
}

void Parser::ParseSingularTests(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.test_paths, {".sql"})) {
    if (file.relative_path.rfind("generic/", 0) == 0) continue;
    std::string shown = w_.Shown(package, file.original_path);
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) continue;
    std::string name = fs::path(file.relative_path).stem().string();
    Code code = Stripped(*text, shown);
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kTest;
    node->singular_test = true;
    node->name = name;
    node->path = file.relative_path;
    node->original_file_path = file.original_path;
    node->fqn = FqnOf(package, file.relative_path, name);
    node->checksum = Sha256Hex(code.text);
    node->raw_code = std::move(code.text);
    node->code_pos = code.pos;
    node->pos = {shown, 1, 1};
    Finish(std::move(node), package, FindProperties("data_tests", name, package));
  }
}

void Parser::ParseAnalyses(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.analysis_paths, {".sql"})) {
    std::string shown = w_.Shown(package, file.original_path);
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) continue;
    std::string name = fs::path(file.relative_path).stem().string();
    Code code = Stripped(*text, shown);
    auto node = std::make_unique<ManifestNode>();
    node->type = ResourceType::kAnalysis;
    node->name = name;
    node->path = "analysis/" + file.relative_path;
    node->original_file_path = file.original_path;
    node->fqn = FqnOf(package, "analysis/" + file.relative_path, name);
    node->checksum = Sha256Hex(code.text);
    node->raw_code = std::move(code.text);
    node->code_pos = code.pos;
    node->pos = {shown, 1, 1};
    Finish(std::move(node), package, FindProperties("analyses", name, package));
  }
}

void Parser::ParseHooks(const Package& package) {
  auto add = [&](const std::vector<RunHook>& hooks, const std::string& when) {
    for (size_t i = 0; i < hooks.size(); ++i) {
      auto node = std::make_unique<ManifestNode>();
      node->type = ResourceType::kOperation;
      node->name = package.name + "-" + when + "-" + std::to_string(i);
      node->path = "hooks/" + node->name + ".sql";
      node->original_file_path = "dbt_project.yml";
      node->fqn = {package.name, "hooks", node->name};
      node->raw_code = hooks[i].sql;
      node->checksum = Sha256Hex(node->raw_code);
      node->code_pos = hooks[i].pos;
      node->pos = hooks[i].pos;
      node->hook_index = static_cast<int>(i) + 1;
      node->tags = {when};
      Finish(std::move(node), package, nullptr);
    }
  };
  add(package.on_run_start, "on-run-start");
  add(package.on_run_end, "on-run-end");
}

void Parser::ApplyProperties(ManifestNode& node, const Package& package, Properties& properties) {
  const Yaml& yaml = properties.yaml;
  std::string what = properties.section.substr(0, properties.section.size() - 1) + " '" + properties.name + "'";
  CheckKeys(yaml, kModelKeys, what);
  node.patch_path = package.name + "://" + properties.original_file_path;
  node.description = Description(package, yaml.Find("description"), &node.doc_blocks);
  node.columns = ParseColumns(package, yaml, what);
  if (const Yaml* constraints = yaml.Find("constraints"); constraints && constraints->is_sequence())
    node.constraints = ParseConstraints(package, *constraints, true);
  Json config = Json::object();
  for (const char* key : {"meta", "tags", "docs", "group", "contract", "access"}) {
    if (const Yaml* value = yaml.Find(key); value && !value->is_null()) config[key] = Rendered(package, *value);
  }
  if (const Yaml* value = yaml.Find("config"); value && !value->is_null()) {
    if (!value->is_mapping()) {
      diagnostics_.Add(
          Error(ErrorCode::kWrongType, "config must be a mapping, not " + value->KindName()).At(value->pos()));
    } else {
      MergeConfig(config, Rendered(package, *value));
      for (const auto& [key, item] : value->entries()) {
        const auto& known = KnownConfigKeys();
        if (std::find(known.begin(), known.end(), key.text()) != known.end()) continue;
        if (std::string hint = DidYouMean(key.text(), known); !hint.empty()) {
          diagnostics_.Add(
              Error(ErrorCode::kUnknownKey, "config knows no key '" + key.text() + "'").At(key.pos()).Hint(hint));
        }
      }
    }
  }
  if (const Yaml* docs = yaml.Find("docs"); docs && docs->is_mapping()) node.docs.update(docs->ToJson());
  properties.config = std::move(config);
}

void Parser::Finish(std::unique_ptr<ManifestNode> node, const Package& package, Properties* properties) {
  node->package = package.name;
  node->root = package.root;
  node->unique_id = std::string(ResourceTypeName(node->type)) + "." + package.name + "." + node->name;
  node->created_at = static_cast<double>(MicrosSinceEpoch(w_.invocation().started)) / 1e6;
  node->alias = node->name;
  node->database = w_.target().database;
  node->schema = w_.target().schema;
  if (properties) ApplyProperties(*node, package, *properties);
  const Json* patch = properties ? &properties->config : nullptr;
  ConfigLayers layers{node->type, &node->fqn, &package, &w_.root(), patch, nullptr};
  ParseCapture capture;
  Json base = ResolveConfig(layers);
  node->config = base;
  if (!node->raw_code.empty()) {
    // A disabled node's text is not looked into when its properties or folder say so already.
    Result<jinja::TemplatePtr> compiled = w_.jinja().Compile(node->raw_code, node->code_pos.file, node->code_pos);
    if (!diagnostics_.Check(compiled)) {
      broken_.insert(node->name);
      return;
    }
    RenderContext context(w_, package, node.get(), RenderContext::Mode::kParse);
    context.capture = &capture;
    context.config = &base;
    Result<jinja::RenderResult> rendered = (*compiled)->Render(w_.ScopeOf(package.name), context.Options());
    if (!rendered) {
      if (ConfigTruth(base.value("enabled", Json(true)))) {
        diagnostics_.Add(std::move(std::move(rendered).error()).At(node->code_pos));
        broken_.insert(node->name);
        return;
      }
    }
  }
  layers.call = &capture.config;
  node->config = ResolveConfig(layers);
  node->unrendered_config = WrittenConfig(layers);
  node->refs = std::move(capture.refs);
  node->sources = std::move(capture.sources);
  for (std::string& id : capture.macros) {
    if (std::find(node->depends_on_macros.begin(), node->depends_on_macros.end(), id) == node->depends_on_macros.end())
      node->depends_on_macros.push_back(std::move(id));
  }
  for (std::string& tag : ConfigTexts(node->config["tags"])) {
    if (std::find(node->tags.begin(), node->tags.end(), tag) == node->tags.end()) node->tags.push_back(std::move(tag));
  }
  if (node->config["meta"].is_object()) node->meta = node->config["meta"];
  if (node->config.contains("group") && node->config["group"].is_string())
    node->group = node->config["group"].get<std::string>();
  if (node->config.contains("access") && node->config["access"].is_string())
    node->access = node->config["access"].get<std::string>();
  if (node->config.contains("docs") && node->config["docs"].is_object()) node->docs.update(node->config["docs"]);
  node->config["enabled"] = ConfigTruth(node->config.value("enabled", Json(true)));
  ResolveNames(*node, package);
  Keep(std::move(node));
}

std::optional<std::string> Parser::CallNameMacro(const std::string& name, const Json& custom, RenderContext& context) {
  // The root project's override, else the package's own dispatch, else ours.
  const Macro* macro = w_.macros().Find(w_.root().name, name);
  if (!macro) macro = w_.macros().Find(kBuiltinPackage, name);
  if (!macro) return std::nullopt;
  std::vector<Value> args = {custom.is_null() ? Value()
                                              : Value(custom.is_string() ? custom.get<std::string>() : custom.dump())};
  args.push_back(context.Model());
  Result<Value> value =
      jinja::CallMacro(w_.jinja(), macro->callable, std::move(args), {}, w_.ScopeOf(w_.root().name), context.Options());
  if (!value) {
    diagnostics_.Add(
        std::move(std::move(value).error()).Context(name + " for " + context.node->name).At(context.node->pos));
    return std::nullopt;
  }
  if (value->is_none()) return std::nullopt;
  return std::string(Trim(value->ToString()));
}

void Parser::ResolveNames(ManifestNode& node, const Package& package) {
  if (node.type == ResourceType::kTest) {
    // the two settings of kept failures follow from each other
    Json& keep = node.config["store_failures"];
    Json& as = node.config["store_failures_as"];
    if (as.is_string())
      keep = as != "ephemeral";
    else if (!keep.is_null())
      as = ConfigTruth(keep) ? "table" : "ephemeral";
  }
  auto custom = [&](const char* key) { return node.config.contains(key) ? node.config[key] : Json(); };
  RenderContext naming(w_, w_.root(), &node, RenderContext::Mode::kParse);
  naming.config = &node.config;
  Value shown = naming.Model();  // one value for the three macros; each sees what the one before gave
  for (auto [key, place] :
       {std::pair("database", &node.database), std::pair("schema", &node.schema), std::pair("alias", &node.alias)}) {
    auto name = CallNameMacro(fmt::format("generate_{}_name", key), custom(key), naming);
    if (!name) continue;
    *place = *name;
    Put(shown, key, *name);
  }
  if (node.type == ResourceType::kSnapshot) {
    if (Json v = custom("target_database"); v.is_string() && !v.get_ref<const std::string&>().empty())
      node.database = v.get<std::string>();
    if (Json v = custom("target_schema"); v.is_string() && !v.get_ref<const std::string&>().empty())
      node.schema = v.get<std::string>();
  }
  bool stored = node.type == ResourceType::kTest &&
                ((custom("store_failures").is_null() && w_.invocation().store_failures) ||
                 ConfigTruth(custom("store_failures")) ||
                 (custom("store_failures_as").is_string() && custom("store_failures_as") != "ephemeral"));
  if ((node.is_refable() && !node.is_ephemeral()) || stored) {
    RenderContext context(w_, package, &node, RenderContext::Mode::kParse);
    node.relation_name = context.RelationOf(node).Render();
  }
}

void Parser::Keep(std::unique_ptr<ManifestNode> node) {
  std::string id = node->unique_id;
  if (!node->enabled()) {
    m_.disabled[id].push_back(std::move(node));
    return;
  }
  auto there = m_.nodes.find(id);
  if (there != m_.nodes.end()) {
    diagnostics_.Add(Error(ErrorCode::kDbtParse, "two " + Section(node->type) + " are called '" + node->name + "'")
                         .At(node->pos)
                         .Hint("the other is at " + there->second->pos.ToString()));
    return;
  }
  if (node->is_refable()) {
    auto [begin, end] = m_.ref_index.equal_range(node->name);
    for (auto it = begin; it != end; ++it) {
      const ManifestNode* other = m_.Find(it->second);
      if (other && other->package == node->package) {
        diagnostics_.Add(Error(ErrorCode::kDbtParse, "a " + std::string(ResourceTypeName(other->type)) + " and a " +
                                                         std::string(ResourceTypeName(node->type)) +
                                                         " are both called '" + node->name + "'")
                             .At(node->pos)
                             .Hint("the other is at " + other->pos.ToString()));
        return;
      }
    }
    m_.ref_index.emplace(node->name, id);
  }
  m_.nodes.emplace(id, std::move(node));
}

}  // namespace quern::dbt
