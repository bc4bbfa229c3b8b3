#pragma once
#include <filesystem>
#include <functional>

#include "script/config.h"
#include "warehouse/warehouse.h"

namespace quern::script {

struct ScriptOptions {
  std::filesystem::path project{};       ///< the project's folder: the script's working folder
  std::string package{};                 ///< the project's name
  std::filesystem::path environments{};  ///< of Python; empty: <project>/.quern/envs
  std::filesystem::path work{};          ///< for outputs and results; empty: <project>/.quern/work
  std::function<Result<warehouse::Warehouse*>()>
      warehouse{};  ///< opened when first needed; called from several threads
};

/// Runs a script and commits what it wrote, each table once, with the effect of the interval. A script that fails,
/// hangs or writes something malformed leaves no trace but its log.
class ScriptTask : public schedule::Task {
 public:
  ScriptTask(const ScriptConfig& config, const ScriptOptions& options) : config_(config), options_(options) {}
  schedule::TaskResult Run(schedule::TaskContext& context) override;

 private:
  Result<schedule::TaskResult> Try(schedule::TaskContext& context);
  /// QUERN_INPUT_... variables of what the script reads; views are written out under `folder`. Versions go to
  /// `details`.
  Result<void> AddInputs(schedule::TaskContext& context, warehouse::Warehouse& warehouse,
                         const std::filesystem::path& folder, std::map<std::string, std::string>& environment,
                         Json& details);
  std::filesystem::path ResultPath(const schedule::RunContext& run) const;

  const ScriptConfig& config_;
  const ScriptOptions& options_;
};

/// "RAW_ORDERS": a table's part of the names of environment variables.
std::string VariableName(const schedule::TableRef& table);

}  // namespace quern::script
