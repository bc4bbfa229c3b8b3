#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "dbt/manifest.h"
#include "jinja/environment.h"

namespace quern::dbt {

/// The package name of macros that are Quern's own; dbt's built-in macros live under the same.
inline constexpr const char* kBuiltinPackage = "dbt";

/// A macro, test or materialization that can be called.
struct Macro {
  MacroNode* node = nullptr;  ///< owned by the manifest
  jinja::Value callable;
};

/// Texts of the built-in macros, compiled into the program: package, file name and text.
struct BuiltinMacroFile {
  const char* package;  ///< in unique ids: "dbt", "dbt_duckdb", "dbt_quern"; all are looked up as "dbt"
  const char* name;
  const char* text;
};
const std::vector<BuiltinMacroFile>& BuiltinMacroFiles();

/// All macros by package and name, and how names are looked up. Filled on one thread, then read by many.
class MacroRegistry {
 public:
  /// Errors: kDbtParse for a name given twice in one package.
  Result<void> Add(const std::string& package, const std::string& name, Macro macro);
  /// Macro of exactly this package; null when there is none.
  const Macro* Find(std::string_view package, std::string_view name) const;
  /// By dbt's order of lookup from code of `package`: the root project, the package itself, built-in.
  const Macro* Lookup(std::string_view package, std::string_view name) const;
  bool HasPackage(std::string_view package) const { return packages_.count(std::string(package)) > 0; }
  std::vector<std::string> Names(std::string_view package) const;
  void set_root(std::string root) { root_ = std::move(root); }
  const std::string& root() const { return root_; }

  /// A macro by adapter.dispatch's rule: for each package of `search` ("" means by lookup), `<prefix>__<name>` for each
  /// prefix. `tried` gets what was looked for.
  const Macro* Dispatch(const std::vector<std::string>& search, const std::vector<std::string>& prefixes,
                        std::string_view name, std::string_view from_package, std::vector<std::string>* tried) const;
  /// The macro of a materialization: the adapter's own before `default`, the root project's before a package's before
  /// ours.
  const Macro* Materialization(std::string_view name, const std::vector<std::string>& adapters) const;
  std::vector<std::string> MaterializationNames() const;

 private:
  using Table = std::unordered_map<std::string, Macro>;
  std::unordered_map<std::string, Table> packages_;
  std::string root_;
};

}  // namespace quern::dbt
