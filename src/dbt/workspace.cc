#include "dbt/workspace.h"

#include <algorithm>

#include "base/text.h"
#include "dbt/context/render_context.h"
#include "dbt/context/values.h"

namespace quern::dbt {

namespace fs = std::filesystem;
using jinja::State;
using jinja::Value;

/// Macros and package namespaces of one package, then what the context under way has.
class PackageScope : public jinja::Scope {
 public:
  struct Entry {
    Value value;
    const MacroNode* macro = nullptr;  ///< null for a namespace
  };
  Result<std::optional<Value>> Find(std::string_view name, State& state) const override {
    auto& context = RenderContext::Of(state);
    if (auto it = names.find(name); it != names.end()) {
      if (context.capture && it->second.macro && state.macro_stack().empty())
        context.capture->macros.push_back(it->second.macro->unique_id);
      return it->second.value;
    }
    return context.Find(name, state);
  }
  std::vector<std::string> Names() const override {
    std::vector<std::string> out = context_names;
    for (const auto& [name, entry] : names) out.push_back(name);
    return out;
  }
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> names;
  std::vector<std::string> context_names;
};

namespace {

std::vector<jinja::BlockTag> BlockTags() {
  return {{"materialization", "endmaterialization", jinja::BlockHeader::kOptions, jinja::BlockBody::kMacro},
          {"test", "endtest", jinja::BlockHeader::kSignature, jinja::BlockBody::kMacro},
          {"data_test", "enddata_test", jinja::BlockHeader::kSignature, jinja::BlockBody::kMacro},
          {"snapshot", "endsnapshot", jinja::BlockHeader::kName, jinja::BlockBody::kRaw},
          {"docs", "enddocs", jinja::BlockHeader::kName, jinja::BlockBody::kRaw}};
}

}  // namespace

class WorkspaceLoader {
 public:
  WorkspaceLoader(Workspace& workspace, Diagnostics& diagnostics) : w_(workspace), diagnostics_(diagnostics) {}

  bool Load() {
    w_.jinja_ = MakeEnvironment();
    // The profile comes first (dbt_project.yml may use `target`), so its name is read ahead.
    auto provisional = std::make_unique<Package>();
    provisional->is_root = true;
    provisional->root = w_.options_.project_dir;
    provisional->root_shown = w_.options_.shown_prefix;
    w_.packages_.push_back(std::move(provisional));
    for (auto& [name, value] : NodeFunctions(w_)) w_.globals_[name] = value;
    w_.scopes_[""] = std::make_shared<PackageScope>();
    if (!ReadAhead()) return false;
    if (!LoadProfile()) return false;
    for (auto& [name, value] : ContextGlobals(w_)) w_.globals_[name] = std::move(value);
    RenderText render = Renderer();
    std::optional<Package> root =
        LoadPackage(w_.options_.project_dir, w_.options_.shown_prefix, true, render, diagnostics_);
    if (!root) return false;
    *w_.packages_.front() = *std::move(root);
    WarnAbout();
    LoadInstalled(render);
    LoadMacros();
    return true;
  }

  void Globals() {
    for (auto& [name, value] : ContextGlobals(w_)) w_.globals_[name] = std::move(value);
  }

 private:
  static std::unique_ptr<jinja::Environment> MakeEnvironment() {
    jinja::EnvironmentOptions options;
    options.block_tags = BlockTags();
    auto environment = std::make_unique<jinja::Environment>(std::move(options));
    AddFilters(*environment);
    return environment;
  }

  RenderText Renderer() {
    return [this](const std::string& text, const SourcePos& pos) -> Result<Json> {
      RenderContext context(w_, w_.root(), nullptr, RenderContext::Mode::kYaml);
      Value value = QUERN_TRY(w_.RenderYamlText(text, pos, context));
      return value.ToJson();
    };
  }

  bool ReadAhead() {
    Package& root = *w_.packages_.front();
    Result<std::string> text =
        ReadTextFile(w_.options_.project_dir / "dbt_project.yml", w_.options_.shown_prefix + "dbt_project.yml");
    if (!text) {
      LoadPackage(w_.options_.project_dir, w_.options_.shown_prefix, true, {},
                  diagnostics_);  // reports it in its own words
      return false;
    }
    Result<Yaml> yaml = Yaml::Parse(*text, w_.options_.shown_prefix + "dbt_project.yml");
    if (!diagnostics_.Check(yaml)) return false;
    if (const Yaml* name = yaml->Find("name")) root.name = name->text();
    if (const Yaml* profile = yaml->Find("profile")) root.profile = profile->text();
    if (w_.options_.profile) root.profile = *w_.options_.profile;
    return true;
  }

  bool LoadProfile() {
    ProfileQuery query;
    query.project_dir = w_.options_.project_dir;
    query.profiles_dir = w_.options_.profiles_dir;
    query.profile = w_.packages_.front()->profile;
    query.target = w_.options_.target;
    query.threads = w_.options_.threads;
    query.quern = w_.options_.quern;
    query.only_quern = w_.options_.only_quern;
    RenderText render = Renderer();
    if (HasJinja(query.profile)) {
      Result<Json> rendered = render(query.profile, {});
      if (!diagnostics_.Check(rendered)) return false;
      query.profile = rendered->is_string() ? rendered->get<std::string>() : rendered->dump();
    }
    Result<Target> target = LoadTarget(query, render);
    if (!target) {
      diagnostics_.Add(std::move(target).error());
      return false;
    }
    w_.target_ = *std::move(target);
    return true;
  }

  void WarnAbout();

  void LoadInstalled(const RenderText& render) {
    fs::path install = w_.root().root / w_.root().packages_install_path;
    std::error_code ec;
    std::vector<fs::path> folders;
    for (fs::directory_iterator it(install, ec), end; !ec && it != end; it.increment(ec)) {
      if (fs::exists(it->path() / "dbt_project.yml", ec)) folders.push_back(it->path());
    }
    std::sort(folders.begin(), folders.end());
    for (const fs::path& folder : folders) {
      std::string shown =
          w_.options_.shown_prefix + w_.root().packages_install_path + "/" + folder.filename().string() + "/";
      std::optional<Package> package = LoadPackage(folder, shown, false, render, diagnostics_);
      if (!package) continue;
      if (w_.FindPackage(package->name)) {
        diagnostics_.Add(Error(ErrorCode::kDbtProject, "there are two packages called '" + package->name + "'")
                             .At({shown + "dbt_project.yml", 1, 1}));
        continue;
      }
      w_.packages_.push_back(std::make_unique<Package>(*std::move(package)));
    }
    for (const char* file : {"packages.yml", "dependencies.yml"}) {
      if (fs::exists(w_.root().root / file, ec) && folders.empty()) {
        Result<std::string> text = ReadTextFile(w_.root().root / file, file);
        if (text && text->find("package") != std::string::npos && Trim(*text) != "packages: []") {
          diagnostics_.Warn(Error(ErrorCode::kDbtProject, std::string(file) + " names packages, but " +
                                                              w_.root().packages_install_path + "/ holds none")
                                .At({w_.options_.shown_prefix + file, 1, 1})
                                .Hint("install them with dbt-core's 'dbt deps'; installing is not built"));
        }
      }
    }
  }

  void LoadMacros() {
    w_.macros_.set_root(w_.root().name);
    std::vector<std::string> packages = {kBuiltinPackage};
    for (const auto& package : w_.packages_) packages.push_back(package->name);
    std::map<std::string, std::shared_ptr<PackageScope>> scopes;
    for (const std::string& name : packages) {
      scopes[name] = std::make_shared<PackageScope>();
      w_.scopes_[name] = scopes[name];
    }
    for (const BuiltinMacroFile& file : BuiltinMacroFiles()) {
      AddMacroFile(kBuiltinPackage, file.package, file.text, "quern:" + std::string(file.package) + "/" + file.name,
                   "macros/" + std::string(file.name), scopes[kBuiltinPackage]);
    }
    for (const auto& package : w_.packages_) {
      std::vector<std::string> paths = package->macro_paths;
      for (const std::string& path : package->test_paths) paths.push_back(path + "/generic");
      for (const FoundFile& file : FindFiles(package->root, paths, {".sql"})) {
        std::string shown = w_.Shown(*package, file.original_path);
        Result<std::string> text = ReadTextFile(file.absolute, shown);
        if (!diagnostics_.Check(text)) continue;
        AddMacroFile(package->name, package->name, *std::move(text), shown, file.original_path, scopes[package->name]);
      }
    }
    FillScopes(scopes);
  }

  /// `table` is where the macros are looked up, `package` what their ids say.
  void AddMacroFile(const std::string& table, const std::string& package, std::string text, const std::string& shown,
                    const std::string& path, const jinja::ScopePtr& scope) {
    Result<jinja::TemplatePtr> compiled = w_.jinja_->Compile(std::move(text), shown);
    if (!diagnostics_.Check(compiled)) return;
    templates_.push_back(*compiled);
    for (const jinja::Block& block : (*compiled)->blocks()) {
      MacroNode node;
      if (block.tag == "macro") {
        node.name = block.name;
      } else if (block.tag == "test" || block.tag == "data_test") {
        node.name = "test_" + block.name;
      } else if (block.tag == "materialization") {
        std::string adapter = "default";
        for (const auto& [key, value] : block.options) {
          if (key == "adapter" && value.is_string()) adapter = value.AsString();
        }
        node.name = "materialization_" + block.name + "_" + adapter;
        node.is_materialization = true;
        node.supported_languages = {"sql"};
      } else {
        continue;
      }
      node.package = package;
      node.path = path;
      node.text = block.text;
      node.pos = block.pos;
      node.unique_id = "macro." + package + "." + node.name;
      std::string id = node.unique_id, name = node.name;
      auto [it, added] = w_.manifest_.macros.try_emplace(id, std::move(node));
      if (!added) {
        diagnostics_.Add(
            Error(ErrorCode::kDbtParse, "macro '" + name + "' is defined twice in package '" + package + "'")
                .At(block.pos)
                .Hint("the other is at " + it->second.pos.ToString()));
        continue;
      }
      diagnostics_.Check(w_.macros_.Add(table, name, {&it->second, (*compiled)->Bind(block, scope)}));
    }
  }

  void FillScopes(std::map<std::string, std::shared_ptr<PackageScope>>& scopes) {
    const std::string& root = w_.root().name;
    std::vector<std::string> context_names = w_.GlobalNames();
    for (const char* name : {"this", "model", "execute", "graph", "selected_resources", "sql", "compiled_code"})
      context_names.push_back(name);
    std::map<std::string, Value> namespaces;
    for (const auto& [name, scope] : scopes) namespaces[name] = MakeMacroNamespace(w_.macros_, name);
    for (auto& [package, scope] : scopes) {
      scope->context_names = context_names;
      auto lay = [&](const std::string& from) {
        for (const std::string& name : w_.macros_.Names(from)) {
          const Macro* macro = w_.macros_.Find(from, name);
          scope->names[name] = {macro->callable, macro->node};
        }
      };
      lay(kBuiltinPackage);
      for (const auto& [name, value] : namespaces) scope->names[name] = {value, nullptr};
      lay(package);
      lay(root);
    }
  }

  Workspace& w_;
  Diagnostics& diagnostics_;
  std::vector<jinja::TemplatePtr> templates_;
};

}  // namespace quern::dbt

#include "dbt/config.h"

namespace quern::dbt {

void WorkspaceLoader::WarnAbout() {
  WarnAboutConfigKeys(w_.root(), diagnostics_);
}

Workspace::Workspace(WorkspaceOptions options)
    : options_(std::move(options)), clock_(options_.clock ? options_.clock : &Clock::System()) {
  if (options_.invocation.started == Timestamp{}) options_.invocation.started = clock_->Now();
}

Workspace::~Workspace() {
  // A macro holds the scope that it is looked up in.
  for (auto& [package, scope] : scopes_) scope->names.clear();
}

std::unique_ptr<Workspace> Workspace::Load(WorkspaceOptions options, Diagnostics& diagnostics) {
  std::unique_ptr<Workspace> workspace(new Workspace(std::move(options)));
  WorkspaceLoader loader(*workspace, diagnostics);
  if (!loader.Load()) return nullptr;
  return workspace;
}

void Workspace::SetInvocation(Invocation invocation) {
  if (invocation.started == Timestamp{}) invocation.started = clock_->Now();
  options_.invocation = std::move(invocation);
  for (auto& [name, value] : ContextGlobals(*this)) globals_[name] = std::move(value);
}

const Package* Workspace::FindPackage(const std::string& name) const {
  for (const auto& package : packages_) {
    if (package->name == name) return package.get();
  }
  return nullptr;
}

fs::path Workspace::target_path() const {
  if (options_.target_path)
    return options_.target_path->is_absolute() ? *options_.target_path : options_.project_dir / *options_.target_path;
  if (const char* path = std::getenv("DBT_TARGET_PATH"); path && *path) return options_.project_dir / path;
  return options_.project_dir / (packages_.empty() ? std::string("target") : root().target_path);
}

jinja::ScopePtr Workspace::ScopeOf(const std::string& package) const {
  auto it = scopes_.find(package);
  return it == scopes_.end() ? scopes_.at("") : it->second;
}

const Value* Workspace::Global(std::string_view name) const {
  auto it = globals_.find(std::string(name));
  return it == globals_.end() ? nullptr : &it->second;
}

std::vector<std::string> Workspace::GlobalNames() const {
  std::vector<std::string> out;
  for (const auto& [name, value] : globals_) out.push_back(name);
  return out;
}

Result<Value> Workspace::RenderYamlText(const std::string& text, const SourcePos& pos, RenderContext& context) const {
  jinja::TemplatePtr compiled = QUERN_TRY(jinja_->Compile(text, pos.file, pos));
  return compiled->RenderNative(ScopeOf(scopes_.count(context.package.name) ? context.package.name : ""),
                                context.Options());
}

std::string Workspace::Shown(const Package& package, const std::string& original_file_path) const {
  return package.root_shown + original_file_path;
}

Value Workspace::GraphValue() const {
  std::call_once(graph_once_, [&] {
    Value nodes = Value::NewDict(), sources = Value::NewDict(), exposures = Value::NewDict();
    for (const auto& [id, node] : manifest_.nodes) {
      if (node->type != ResourceType::kOperation) Put(nodes, id, NodeValue(*node));
    }
    for (const auto& [id, node] : manifest_.sources) Put(sources, id, NodeValue(*node));
    for (const auto& [id, node] : manifest_.exposures) Put(exposures, id, NodeValue(*node));
    graph_ = Value::NewDict({{"nodes", nodes},
                             {"sources", sources},
                             {"exposures", exposures},
                             {"metrics", Value::NewDict()},
                             {"groups", Value::NewDict()},
                             {"semantic_models", Value::NewDict()},
                             {"saved_queries", Value::NewDict()}});
    graph_.Freeze();
  });
  return graph_;
}

const ManifestNode* Workspace::ResolveRef(const Ref& ref, const std::string& from_package) const {
  std::vector<std::string> search;
  if (ref.package) {
    search = {*ref.package};
  } else {
    search = {root().name, from_package, ""};
  }
  auto [begin, end] = manifest_.ref_index.equal_range(ref.name);
  for (const std::string& package : search) {
    for (auto it = begin; it != end; ++it) {
      const ManifestNode* node = manifest_.Find(it->second);
      if (node && (package.empty() || node->package == package)) return node;
    }
  }
  return nullptr;
}

const ManifestNode* Workspace::ResolveSource(const SourceRef& ref, const std::string& from_package) const {
  auto [begin, end] = manifest_.source_index.equal_range(ref.source + "." + ref.table);
  for (const std::string& package : {root().name, from_package, std::string()}) {
    for (auto it = begin; it != end; ++it) {
      const ManifestNode* node = manifest_.Find(it->second);
      if (node && (package.empty() || node->package == package)) return node;
    }
  }
  return nullptr;
}

Error Workspace::UnknownRef(const Ref& ref, const ManifestNode&) const {
  std::string shown = ref.package ? "ref('" + *ref.package + "', '" + ref.name + "')" : "ref('" + ref.name + "')";
  for (const auto& [id, nodes] : manifest_.disabled) {
    for (const auto& node : nodes) {
      if (node->is_refable() && node->name == ref.name) {
        return Error(ErrorCode::kDbtCompile,
                     shown + " names a " + std::string(ResourceTypeName(node->type)) + " that is disabled")
            .At(ref.pos);
      }
    }
  }
  std::vector<std::string> known;
  for (const auto& [name, id] : manifest_.ref_index) known.push_back(name);
  Error error = Error(ErrorCode::kDbtCompile, shown + " names no model, seed or snapshot").At(ref.pos);
  if (auto hint = DidYouMean(ref.name, known); !hint.empty()) error = std::move(error).Hint(hint);
  return error;
}

Error Workspace::UnknownSource(const SourceRef& ref, const ManifestNode&) const {
  std::vector<std::string> sources, tables;
  bool source_known = false;
  for (const auto& [id, node] : manifest_.sources) {
    sources.push_back(node->source_name);
    if (node->source_name == ref.source) {
      source_known = true;
      tables.push_back(node->name);
    }
  }
  Error error =
      Error(ErrorCode::kDbtCompile, "source('" + ref.source + "', '" + ref.table + "') is not declared").At(ref.pos);
  std::string hint = source_known ? DidYouMean(ref.table, tables) : DidYouMean(ref.source, sources);
  if (hint.empty()) hint = "declare it under sources: in a properties file";
  return std::move(error).Hint(hint);
}

}  // namespace quern::dbt
