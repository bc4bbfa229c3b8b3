#include "dbt/project.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace quern::dbt {

namespace fs = std::filesystem;

bool HasJinja(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '{' && (text[i + 1] == '{' || text[i + 1] == '%' || text[i + 1] == '#')) return true;
  }
  return false;
}

Json RenderYaml(const Yaml& yaml, const RenderText& render, Diagnostics& diagnostics,
                const std::vector<std::string>& keep) {
  switch (yaml.kind()) {
    case Yaml::Kind::kSequence: {
      Json list = Json::array();
      for (const Yaml& item : yaml.items()) list.push_back(RenderYaml(item, render, diagnostics, keep));
      return list;
    }
    case Yaml::Kind::kMapping: {
      Json object = Json::object();
      for (const auto& [key, value] : yaml.entries()) {
        std::string bare = key.text();
        if (!bare.empty() && bare[0] == '+') bare = std::string(Trim(std::string_view(bare).substr(1)));
        bool raw = std::find(keep.begin(), keep.end(), bare) != keep.end();
        object[key.text()] = raw ? value.ToJson() : RenderYaml(value, render, diagnostics, keep);
      }
      return object;
    }
    case Yaml::Kind::kString:
      if (render && HasJinja(yaml.text())) {
        Result<Json> rendered = render(yaml.text(), yaml.pos());
        if (!rendered) {
          diagnostics.Add(std::move(std::move(rendered).error()).At(yaml.pos()));
          return yaml.text();
        }
        return *std::move(rendered);
      }
      return yaml.text();
    default:
      return yaml.ToJson();
  }
}

Result<std::string> ReadTextFile(const fs::path& path, const std::string& shown) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::error_code ec;
    bool there = fs::exists(path, ec);
    return Fail(Error(there ? ErrorCode::kPermissionDenied : ErrorCode::kNotFound,
                      there ? "cannot read " + shown : shown + " is not there"));
  }
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return Fail(Error(ErrorCode::kIo, "cannot read " + shown));
  if (text.size() >= 3 && text.compare(0, 3, "\xEF\xBB\xBF") == 0) text.erase(0, 3);
  if (!IsValidUtf8(text)) {
    size_t bad = 0;
    // the first line that does not decode, so that the user finds it
    size_t begin = 0;
    while (begin < text.size()) {
      size_t end = text.find('\n', begin);
      if (end == std::string::npos) end = text.size();
      if (!IsValidUtf8(std::string_view(text).substr(begin, end - begin))) {
        bad = begin;
        break;
      }
      begin = end + 1;
    }
    return Fail(Error(ErrorCode::kParse, "the file is not valid UTF-8")
                    .At({shown, LineColumnAt(text, bad).line, 1})
                    .Hint("save it as UTF-8"));
  }
  return text;
}

namespace {

const std::vector<std::string> kHookKeys = {"pre-hook", "post-hook", "pre_hook", "post_hook"};

std::vector<std::string> StringList(const Yaml* yaml) {
  std::vector<std::string> out;
  if (!yaml) return out;
  if (yaml->is_sequence()) {
    for (const Yaml& item : yaml->items()) out.push_back(item.text());
  } else if (!yaml->is_null()) {
    out.push_back(yaml->text());
  }
  return out;
}

std::vector<RunHook> Hooks(const Yaml* yaml) {
  std::vector<RunHook> out;
  if (!yaml || yaml->is_null()) return out;
  auto add = [&](const Yaml& item) {
    SourcePos pos = item.pos();
    const Yaml* sql = item.is_mapping() ? item.Find("sql") : &item;
    if (sql && sql->is_string()) out.push_back({sql->text(), pos});
  };
  if (yaml->is_sequence()) {
    for (const Yaml& item : yaml->items()) add(item);
  } else {
    add(*yaml);
  }
  return out;
}

bool ValidName(const std::string& name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

}  // namespace

std::optional<Package> LoadPackage(const fs::path& root, const std::string& root_shown, bool is_root,
                                   const RenderText& render, Diagnostics& diagnostics) {
  std::string shown = root_shown + "dbt_project.yml";
  Result<std::string> text = ReadTextFile(root / "dbt_project.yml", shown);
  if (!text) {
    Error error = std::move(text).error();
    if (error.code() == ErrorCode::kNotFound) {
      diagnostics.Add(Error(ErrorCode::kDbtProject, "there is no dbt_project.yml in " + root.string())
                          .Hint("name the folder of the dbt project with --project-dir"));
    } else {
      diagnostics.Add(std::move(error));
    }
    return std::nullopt;
  }
  Result<Yaml> yaml = Yaml::Parse(*text, shown);
  if (!yaml) {
    diagnostics.Add(std::move(yaml).error());
    return std::nullopt;
  }
  if (!yaml->is_mapping()) {
    diagnostics.Add(Error(ErrorCode::kDbtProject, "dbt_project.yml must hold keys and values, not " + yaml->KindName())
                        .At(yaml->pos()));
    return std::nullopt;
  }
  Package p;
  p.root = root;
  p.root_shown = root_shown;
  p.is_root = is_root;
  // A package's own misspelt keys are not the user's to mend.
  Diagnostics ignored;
  YamlMap map(*yaml, "dbt_project.yml", is_root ? diagnostics : ignored);
  p.name = map.RequiredString("name");
  if (HasJinja(p.name)) {
    if (auto name = render(p.name, map.PosOf("name")))
      p.name = name->is_string() ? name->get<std::string>() : name->dump();
  }
  if (!p.name.empty() && !ValidName(p.name)) {
    diagnostics.Add(Error(ErrorCode::kDbtProject, "'" + p.name +
                                                      "' is no project name: letters, digits and underscores, not "
                                                      "beginning with a digit")
                        .At(map.PosOf("name")));
  }
  p.version = map.String("version").value_or("");
  p.profile = map.String("profile").value_or("");
  if (HasJinja(p.profile)) {
    if (auto profile = render(p.profile, map.PosOf("profile"))) {
      p.profile = profile->is_string() ? profile->get<std::string>() : profile->dump();
    } else if (is_root) {
      diagnostics.Add(std::move(profile).error());
    }
  }
  auto paths = [&](std::string_view key, std::string_view old_key, std::vector<std::string> fallback) {
    const Yaml* value = map.Get(key);
    if (!old_key.empty()) {
      const Yaml* old_value = map.Get(old_key);
      if (!value) value = old_value;
    }
    if (!value) return fallback;
    std::vector<std::string> out;
    if (!value->is_sequence()) {
      diagnostics.Add(
          Error(ErrorCode::kWrongType, std::string(key) + " must be a list of folders, not " + value->KindName())
              .At(value->pos()));
      return fallback;
    }
    for (const Yaml& item : value->items()) {
      Json path = RenderYaml(item, render, diagnostics);
      if (path.is_string()) out.push_back(fs::path(path.get<std::string>()).lexically_normal().string());
    }
    for (std::string& path : out) {
      while (path.size() > 1 && path.back() == '/') path.pop_back();
    }
    return out;
  };
  p.model_paths = paths("model-paths", "source-paths", {"models"});
  p.seed_paths = paths("seed-paths", "data-paths", {"seeds"});
  p.snapshot_paths = paths("snapshot-paths", "", {"snapshots"});
  p.test_paths = paths("test-paths", "", {"tests"});
  p.analysis_paths = paths("analysis-paths", "", {"analyses"});
  p.macro_paths = paths("macro-paths", "", {"macros"});
  std::vector<std::string> all;
  for (const auto* list :
       {&p.model_paths, &p.seed_paths, &p.snapshot_paths, &p.analysis_paths, &p.macro_paths, &p.test_paths}) {
    for (const std::string& path : *list) {
      if (std::find(all.begin(), all.end(), path) == all.end()) all.push_back(path);
    }
  }
  p.docs_paths = paths("docs-paths", "", all);
  if (auto target = map.String("target-path")) p.target_path = *target;
  if (HasJinja(p.target_path)) {
    if (auto path = render(p.target_path, map.PosOf("target-path")); path && path->is_string())
      p.target_path = path->get<std::string>();
  }
  if (auto install = map.String("packages-install-path")) p.packages_install_path = *install;
  p.clean_targets = StringList(map.Get("clean-targets"));
  if (p.clean_targets.empty()) p.clean_targets = {p.target_path};
  if (const Yaml* vars = map.Get("vars")) {
    p.vars = vars->ToJson();  // dbt does not render vars
    if (!p.vars.is_object()) {
      diagnostics.Add(Error(ErrorCode::kWrongType, "vars must be a mapping, not " + vars->KindName()).At(vars->pos()));
      p.vars = Json::object();
    }
  }
  auto tree = [&](std::string_view key, std::string name) {
    const Yaml* value = map.Get(key);
    if (!value) return;
    if (!value->is_mapping()) {
      diagnostics.Add(Error(ErrorCode::kWrongType, std::string(key) + " must be a mapping, not " + value->KindName())
                          .At(value->pos()));
      return;
    }
    Json rendered = RenderYaml(*value, render, is_root ? diagnostics : ignored, kHookKeys);
    if (p.trees.count(name)) {
      p.trees[name].update(rendered, true);
    } else {
      p.trees[name] = std::move(rendered);
      p.tree_sources.emplace(name, *value);
    }
  };
  tree("models", "models");
  tree("seeds", "seeds");
  tree("snapshots", "snapshots");
  tree("tests", "data_tests");
  tree("data_tests", "data_tests");
  tree("sources", "sources");
  tree("exposures", "exposures");
  tree("analyses", "analyses");
  if (const Yaml* dispatch = map.Get("dispatch"); dispatch && dispatch->is_sequence()) {
    for (const Yaml& item : dispatch->items()) {
      YamlMap entry(item, "an entry of dispatch", is_root ? diagnostics : ignored);
      DispatchEntry out;
      out.macro_namespace = entry.RequiredString("macro_namespace");
      out.search_order = entry.Strings("search_order").value_or(std::vector<std::string>{});
      entry.Finish();
      p.dispatch.push_back(std::move(out));
    }
  }
  p.on_run_start = Hooks(map.Get("on-run-start"));
  p.on_run_end = Hooks(map.Get("on-run-end"));
  if (const Yaml* quoting = map.Get("quoting"); quoting && quoting->is_mapping()) {
    p.quoting = quoting->ToJson();
    YamlMap entry(*quoting, "quoting", is_root ? diagnostics : ignored);
    for (const char* key : {"database", "schema", "identifier", "column", "snowflake_ignore_case"}) entry.Bool(key);
    entry.Finish();
  }
  if (const Yaml* flags = map.Get("flags"); flags && flags->is_mapping()) p.flags = flags->ToJson();
  for (const char* key : {"config-version", "asset-paths", "function-paths", "log-path", "require-dbt-version",
                          "query-comment", "restrict-access", "dbt-cloud", "unit_tests", "metrics", "semantic-models",
                          "saved-queries", "functions", "packages", "project-root", "anchors"}) {
    map.Allow(key);
  }
  map.Finish();
  if (p.name.empty()) return std::nullopt;
  return p;
}

const Json* FindVar(const std::string& name, const Package& package, const Package& root, const Json& cli_vars) {
  auto in = [&](const Json& vars) -> const Json* {
    if (!vars.is_object()) return nullptr;
    if (auto section = vars.find(package.name); section != vars.end() && section->is_object()) {
      if (auto it = section->find(name); it != section->end()) return &*it;
    }
    if (auto it = vars.find(name); it != vars.end()) return &*it;
    return nullptr;
  };
  if (cli_vars.is_object()) {
    if (auto it = cli_vars.find(name); it != cli_vars.end()) return &*it;
  }
  if (const Json* found = in(root.vars)) return found;
  return &package == &root ? nullptr : in(package.vars);
}

std::vector<FoundFile> FindFiles(const fs::path& root, const std::vector<std::string>& paths,
                                 const std::vector<std::string>& suffixes) {
  std::vector<FoundFile> out;
  for (const std::string& path : paths) {
    fs::path top = root / path;
    std::error_code ec;
    fs::recursive_directory_iterator it(top, fs::directory_options::follow_directory_symlink, ec), end;
    if (ec) continue;
    size_t first = out.size();
    std::string prefix = top.string();
    for (; it != end; it.increment(ec)) {
      if (ec) break;
      std::string name = it->path().filename().string();
      if (!name.empty() && name[0] == '.') {
        if (it->is_directory(ec)) it.disable_recursion_pending();
        continue;
      }
      bool fits = std::any_of(suffixes.begin(), suffixes.end(), [&](const std::string& suffix) {
        return name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
      });
      if (!fits || it->is_directory(ec)) continue;
      FoundFile file;
      file.absolute = it->path();
      file.relative_path = it->path().lexically_relative(top).generic_string();
      file.search_path = path;
      file.original_path = path == "." ? file.relative_path : path + "/" + file.relative_path;
      out.push_back(std::move(file));
    }
    std::sort(out.begin() + static_cast<ptrdiff_t>(first), out.end(),
              [](const FoundFile& a, const FoundFile& b) { return a.relative_path < b.relative_path; });
  }
  return out;
}

}  // namespace quern::dbt
