#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/yaml.h"

namespace quern::dbt {

/// Renders a YAML value that holds Jinja; a text that is one expression gives the expression's own value, as dbt's
/// native rendering does.
using RenderText = std::function<Result<Json>(const std::string& text, const SourcePos& pos)>;

/// True when a text needs rendering.
bool HasJinja(std::string_view text);
/// A YAML tree as JSON, with every text that holds Jinja rendered, except below keys that `keep` names (hooks).
/// Errors go to `diagnostics`, with the place of the value.
Json RenderYaml(const Yaml& yaml, const RenderText& render, Diagnostics& diagnostics,
                const std::vector<std::string>& keep = {});

struct DispatchEntry {
  std::string macro_namespace;
  std::vector<std::string> search_order;
};

/// A SQL text of on-run-start or on-run-end.
struct RunHook {
  std::string sql;
  SourcePos pos;
};

/// A dbt project as its dbt_project.yml says: the root project, or one installed under dbt_packages/.
struct Package {
  std::string name;
  std::string version;
  std::filesystem::path root;  ///< absolute
  std::string root_shown;      ///< how files of it are named to the user: "" or "dbt_packages/x/"
  bool is_root = false;
  std::vector<std::string> model_paths, seed_paths, snapshot_paths, test_paths, analysis_paths, macro_paths, docs_paths;
  std::string target_path = "target";
  std::string packages_install_path = "dbt_packages";
  std::vector<std::string> clean_targets;
  std::string profile;
  Json vars = Json::object();
  /// Config trees (`models:`, `seeds:` ...) by resource key, rendered; "data_tests" also holds `tests:`.
  std::map<std::string, Json> trees;
  /// Places of the tree's own keys, for messages: "models".
  std::map<std::string, Yaml> tree_sources;
  std::vector<DispatchEntry> dispatch;
  std::vector<RunHook> on_run_start, on_run_end;
  Json quoting = Json::object();
  Json flags = Json::object();
};

/// Reads <root>/dbt_project.yml. Problems go to `diagnostics`; nothing when the file cannot be used at all.
std::optional<Package> LoadPackage(const std::filesystem::path& root, const std::string& root_shown, bool is_root,
                                   const RenderText& render, Diagnostics& diagnostics);

/// A var() for code of `package`: --vars win, then the root project's (package's own section, then global), then the
/// package's own. Nothing when it is not defined.
const Json* FindVar(const std::string& name, const Package& package, const Package& root, const Json& cli_vars);

/// A file found under one of a package's paths.
struct FoundFile {
  std::filesystem::path absolute;
  std::string original_path;  ///< relative to the package: "models/staging/a.sql"
  std::string relative_path;  ///< relative to the searched folder: "staging/a.sql"
  std::string search_path;    ///< "models"
};

/// Files below `paths` whose name ends with one of `suffixes`, in the order of their paths. Folders that are not there
/// are no error. Hidden files are left out.
std::vector<FoundFile> FindFiles(const std::filesystem::path& root, const std::vector<std::string>& paths,
                                 const std::vector<std::string>& suffixes);

/// The whole file. Errors: kNotFound, kIo; a text that is not UTF-8 is kParse.
Result<std::string> ReadTextFile(const std::filesystem::path& path, const std::string& shown);

}  // namespace quern::dbt
