#pragma once
#include <memory>
#include <optional>

#include "cli/invocation.h"
#include "ml/nodes/services.h"
#include "project/project.h"

namespace quern::cli {

/// --project-dir, --target, --vars, --threads of a call. Errors: kUsage.
Result<project::OpenOptions> OpenOptionsOf(const Invocation& invocation);

/// The project with its providers added, not loaded. What is wrong in quern.yml goes to `diagnostics`.
Result<std::unique_ptr<project::Project>> OpenProject(Invocation& invocation, Diagnostics& diagnostics);

/// The project, loaded and sound. Otherwise everything wrong has been shown, the result is null and `exit_code` is set.
std::unique_ptr<project::Project> LoadProject(Invocation& invocation, int& exit_code);

/// Shows every error and warning, sorted by place; gives the number of errors.
int ShowDiagnostics(Invocation& invocation, Diagnostics& diagnostics);

/// A warehouse to work with: --warehouse DIR, or the project's target.
class OpenedWarehouse {
 public:
  static Result<OpenedWarehouse> Open(Invocation& invocation);
  warehouse::Warehouse& get() { return *warehouse_; }
  /// Null when --warehouse was given.
  project::Project* project() { return project_.get(); }

 private:
  std::unique_ptr<project::Project> project_;
  std::unique_ptr<warehouse::Warehouse> own_;
  warehouse::Warehouse* warehouse_ = nullptr;
};

/// "schema.table" as the user writes it. Errors: kUsage.
Result<warehouse::TableName> ParseTableName(const std::string& text);

/// What the models of a project need.
ml::ProviderOptions ModelOptions(project::Project& project);

/// Adds what makes nodes (ingest, dbt, scripts) to a project.
Result<void> AddProviders(project::Project& project, const Invocation& invocation);

}  // namespace quern::cli
