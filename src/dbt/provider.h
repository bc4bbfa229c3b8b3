#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dbt/run_state.h"
#include "dbt/workspace.h"
#include "schedule/node_provider.h"
#include "warehouse/warehouse.h"

namespace quern::dbt {

/// The dbt project's nodes in Quern's one graph.
struct ProviderOptions {
  std::filesystem::path project_root;  ///< of the Quern project: paths of nodes are shown relative to it
  WorkspaceOptions workspace;          ///< `quern` set and only_quern true inside a Quern project
  /// The target's warehouse, opened when first asked for. Unset: the provider opens what the profile names itself.
  std::function<Result<warehouse::Warehouse*>()> warehouse;
  std::string memory_limit;
  std::string which = "build";  ///< `flags.WHICH`, and "compile" compiles without running
  bool store_failures = false;
  bool exposures = true;  ///< whether exposures and sources stand in the graph (for selection)
};

/// Thread-safe after Load: several runs may be under way, each begun with its own RunContext (kept by dag_run).
class Provider : public schedule::NodeProvider {
 public:
  explicit Provider(ProviderOptions options);
  ~Provider() override;
  std::string_view name() const override { return "dbt"; }
  std::vector<schedule::Node> Load(Diagnostics& diagnostics) override;
  /// Compiles every model and describes it in order, with empty tables standing for what is not built yet.
  void Check(Diagnostics& diagnostics) override;
  Result<void> BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) override;
  Result<std::unique_ptr<schedule::Task>> MakeTask(const schedule::Node& node,
                                                   const schedule::RunContext& run) override;
  Result<void> EndRun(const schedule::RunContext& run, const std::vector<schedule::FinishedTask>& tasks) override;

  /// Null before Load, or when the project could not be read.
  const Workspace* workspace() const { return workspace_.get(); }

 private:
  Result<Database*> OpenDatabase();
  ProviderOptions options_;
  std::unique_ptr<Workspace> workspace_;
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
  std::map<std::string, std::shared_ptr<RunState>> runs_;
};

/// What the graph knows of a manifest's node.
schedule::Node GraphNode(const Workspace& workspace, const ManifestNode& node,
                         const std::filesystem::path& project_root);

}  // namespace quern::dbt
