#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "dbt/artifacts.h"
#include "dbt/compile.h"
#include "dbt/session.h"
#include "dbt/workspace.h"
#include "schedule/node_provider.h"

namespace quern::dbt {

/// One run over a workspace: what its nodes share. Thread-safe where not said otherwise.
class RunState {
 public:
  /// `which` is the command: run, build, test, seed, snapshot, compile. All outlive the state.
  RunState(const Workspace& workspace, Database& database, const schedule::RunContext& run, std::string which,
           bool store_failures, std::vector<std::string> selected);

  const Workspace& workspace() const { return workspace_; }
  Database& database() { return database_; }
  const schedule::RunContext& run() const { return run_; }
  const std::string& which() const { return which_; }
  const std::vector<std::string>& selected() const { return selected_; }
  const std::map<std::string, jinja::Value, std::less<>>& shared() const { return shared_; }

  /// Makes the schemas that the selected nodes build into, then runs on-run-start hooks. Once, before the tasks.
  Result<void> Begin();
  /// on-run-end hooks, then manifest.json and run_results.json. Once, after the tasks.
  Result<void> End(const std::vector<schedule::FinishedTask>& tasks);

  /// Builds, loads, snapshots or tests one node.
  schedule::TaskResult RunNode(const ManifestNode& node, schedule::TaskContext& context);

  std::map<std::string, CompiledCode> compiled() const;
  std::vector<NodeResult> results() const;

 private:
  friend class NodeRun;
  Result<void> RunHooks(const std::string& when, bool end);
  Result<void> WriteArtifacts(const std::vector<schedule::FinishedTask>& tasks);
  void Record(NodeResult result, std::optional<CompiledCode> compiled);
  std::unique_ptr<RenderContext> ContextOf(const ManifestNode& node, Session* session, schedule::TaskLog* log) const;

  const Workspace& workspace_;
  Database& database_;
  const schedule::RunContext& run_;
  std::string which_;
  std::vector<std::string> selected_;
  std::map<std::string, jinja::Value, std::less<>> shared_;
  mutable std::mutex mutex_;
  std::map<std::string, CompiledCode> compiled_;
  std::vector<NodeResult> results_;
};

/// Folder parts of a node's compiled and run files: "<package>/models/a.sql".
std::string NodeFilePath(const ManifestNode& node);
/// Writes an artifact; a failure names the file.
Result<void> WriteArtifact(const std::filesystem::path& path, std::string_view text);

}  // namespace quern::dbt
