#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/time.h"
#include "dbt/macro_registry.h"
#include "dbt/manifest.h"
#include "dbt/profile.h"
#include "dbt/project.h"
#include "jinja/environment.h"

namespace quern::dbt {

/// Version of dbt whose semantics and artifacts we follow.
inline constexpr const char* kDbtVersion = "1.11.16";

/// One call of the program, as templates and artifacts see it.
struct Invocation {
  std::string id;             ///< UUID
  std::string which = "run";  ///< run, build, test, ...
  Timestamp started{};
  bool full_refresh = false;
  bool store_failures = false;
  Json vars = Json::object();  ///< --vars
  std::vector<std::string> select, exclude;
  Json args = Json::object();  ///< for artifacts
};

struct WorkspaceOptions {
  std::filesystem::path project_dir;  ///< absolute
  std::string shown_prefix;           ///< put before the files' names in messages: "dbt/"
  std::optional<std::filesystem::path> profiles_dir;
  std::optional<std::string> profile, target;
  std::optional<int> threads;
  std::optional<std::filesystem::path> target_path;
  std::optional<QuernTarget> quern;
  bool only_quern = false;
  Invocation invocation;
  const Clock* clock = nullptr;  ///< outlives the workspace; null: the system's
  std::function<void(std::string_view)>
      console;  ///< print() and log(info=true); thread-safe; unset: the task's log only
};

class PackageScope;
class RenderContext;

/// A dbt project, loaded: packages, target, macros, and after Parse the manifest. Load and Parse run on one thread;
/// after that everything is read by many.
class Workspace {
 public:
  /// Reads dbt_project.yml, packages, profile, macros. Problems go to `diagnostics`; null when nothing can be done.
  static std::unique_ptr<Workspace> Load(WorkspaceOptions options, Diagnostics& diagnostics);
  ~Workspace();

  const WorkspaceOptions& options() const { return options_; }
  const Invocation& invocation() const { return options_.invocation; }
  void SetInvocation(Invocation invocation);
  const Package& root() const { return *packages_.front(); }
  /// Root first.
  const std::vector<std::unique_ptr<Package>>& packages() const { return packages_; }
  const Package* FindPackage(const std::string& name) const;
  const Target& target() const { return target_; }
  const jinja::Environment& jinja() const { return *jinja_; }
  const MacroRegistry& macros() const { return macros_; }
  const Clock& clock() const { return *clock_; }
  const Manifest& manifest() const { return manifest_; }
  Manifest& manifest() { return manifest_; }
  std::filesystem::path target_path() const;

  /// Names that templates of `package` see: its macros, the root's, namespaces, then the context's own.
  jinja::ScopePtr ScopeOf(const std::string& package) const;
  /// Names that are the same for every node: functions, target, modules, ...
  const jinja::Value* Global(std::string_view name) const;
  std::vector<std::string> GlobalNames() const;

  /// Renders a YAML text: `env_var`, `var`, `target`, `doc` and the like; one expression gives its own value.
  Result<jinja::Value> RenderYamlText(const std::string& text, const SourcePos& pos, RenderContext& context) const;

  /// The manifest as `graph` shows it; built once, frozen.
  jinja::Value GraphValue() const;

  /// What ref()/source() find; nothing when unknown. Hidden ones (disabled) are not found.
  const ManifestNode* ResolveRef(const Ref& ref, const std::string& from_package) const;
  const ManifestNode* ResolveSource(const SourceRef& ref, const std::string& from_package) const;
  /// An error for a ref that finds nothing: names what is near, or that it is disabled.
  Error UnknownRef(const Ref& ref, const ManifestNode& from) const;
  Error UnknownSource(const SourceRef& ref, const ManifestNode& from) const;

  /// How a file of a package is named in messages.
  std::string Shown(const Package& package, const std::string& original_file_path) const;

 private:
  friend class WorkspaceLoader;
  explicit Workspace(WorkspaceOptions options);
  WorkspaceOptions options_;
  const Clock* clock_;
  std::vector<std::unique_ptr<Package>> packages_;
  Target target_;
  std::unique_ptr<jinja::Environment> jinja_;
  std::unordered_map<std::string, jinja::Value> globals_;
  std::map<std::string, std::shared_ptr<PackageScope>> scopes_;
  MacroRegistry macros_;
  Manifest manifest_;
  mutable std::once_flag graph_once_;
  mutable jinja::Value graph_;
};

}  // namespace quern::dbt
