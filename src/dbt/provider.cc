#include "dbt/provider.h"

#include <algorithm>

#include "base/text.h"
#include "dbt/bind_check.h"
#include "dbt/parse/parser.h"

namespace quern::dbt {

namespace fs = std::filesystem;

namespace {

schedule::TableRef TableOf(const ManifestNode& node) {
  return {node.schema, node.alias};
}

class NodeTask : public schedule::Task {
 public:
  NodeTask(std::shared_ptr<RunState> state, const ManifestNode& node) : state_(std::move(state)), node_(node) {}
  schedule::TaskResult Run(schedule::TaskContext& context) override { return state_->RunNode(node_, context); }

 private:
  std::shared_ptr<RunState> state_;
  const ManifestNode& node_;
};

}  // namespace

schedule::Node GraphNode(const Workspace& workspace, const ManifestNode& n, const fs::path& project_root) {
  schedule::Node out;
  out.id = n.unique_id;
  out.kind = ResourceTypeName(n.type);
  out.name = n.name;
  out.package = n.package;
  out.fqn = n.fqn;
  out.path = (n.root / n.original_file_path).lexically_relative(project_root);
  if (out.path.empty()) out.path = n.original_file_path;
  out.local_path = n.original_file_path;
  if (n.package != workspace.root().name) {
    // dbt looks for what `path:` names below the project, then takes a package's files for the project's own: of these
    // only folders that the project has too can be named.
    std::error_code ec;
    fs::path folder = fs::path(n.original_file_path).parent_path();
    while (!folder.empty() && !fs::is_directory(workspace.root().root / folder, ec)) folder = folder.parent_path();
    out.local_path = folder.empty() ? fs::path() : folder / "";
  }
  if (n.patch_path) {
    if (size_t at = n.patch_path->find("://"); at != std::string::npos)
      out.described_in.push_back(n.patch_path->substr(at + 3));
  }
  out.pos = n.pos;
  out.tags = n.tags;
  out.materialized = n.type == ResourceType::kTest ? "test" : n.materialized();
  out.description = n.description;
  out.config = n.config;
  (void)workspace;
  for (const std::string& parent : n.depends_on) {
    if (std::find(n.before_run.begin(), n.before_run.end(), parent) == n.before_run.end())
      out.depends_on.push_back(parent);
  }
  for (const std::string& parent : n.before_run) {
    if (const ManifestNode* p = workspace.manifest().Find(parent))
      out.reads.push_back({TableOf(*p), schedule::ReadMode::kBeforeRun});
  }
  switch (n.type) {
    case ResourceType::kSource:
      out.reads.push_back({TableOf(n), schedule::ReadMode::kCurrent});
      out.runs = false;
      break;
    case ResourceType::kExposure:
      out.runs = false;
      break;
    case ResourceType::kTest:
      out.gate = true;
      if (n.test) out.test_of = n.test->name;
      break;
    case ResourceType::kAnalysis:
      break;
    default:
      if (n.is_ephemeral()) {
        out.runs = false;
      } else {
        out.writes.push_back(TableOf(n));
      }
  }
  return out;
}

Provider::Provider(ProviderOptions options) : options_(std::move(options)) {}
Provider::~Provider() = default;

std::vector<schedule::Node> Provider::Load(Diagnostics& diagnostics) {
  std::vector<schedule::Node> out;
  workspace_ = Workspace::Load(options_.workspace, diagnostics);
  if (!workspace_) return out;
  Parser(*workspace_, diagnostics).Run();
  const Manifest& manifest = workspace_->manifest();
  for (const auto* part : {&manifest.nodes, &manifest.sources, &manifest.exposures}) {
    for (const auto& [id, node] : *part) {
      if (node->type == ResourceType::kOperation) continue;
      if (node->type == ResourceType::kAnalysis && options_.which != "compile" && options_.which != "list") continue;
      out.push_back(GraphNode(*workspace_, *node, options_.project_root));
    }
  }
  return out;
}

Result<Database*> Provider::OpenDatabase() {
  std::lock_guard lock(mutex_);
  if (database_) return database_.get();
  const Target& target = workspace_->target();
  if (target.type == "duckdb") {
    database_ = QUERN_TRY(OpenDuckDb(target, 0, options_.memory_limit));
  } else if (options_.warehouse) {
    warehouse::Warehouse* warehouse = QUERN_TRY(options_.warehouse());
    database_ = WrapWarehouse(*warehouse, target);
  } else {
    database_ = QUERN_TRY(OpenWarehouse(target, 0, options_.memory_limit));
  }
  return database_.get();
}

void Provider::Check(Diagnostics& diagnostics) {
  if (!workspace_) return;
  CheckBinding(*workspace_, diagnostics);
}

Result<void> Provider::BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) {
  if (!workspace_) return Fail(Error(ErrorCode::kDbtProject, "the dbt project could not be read"));
  std::vector<std::string> ids;
  for (const schedule::Node* node : selected) {
    if (workspace_->manifest().Find(node->id)) ids.push_back(node->id);
  }
  if (ids.empty()) return {};
  Database* database = QUERN_TRY(OpenDatabase());
  auto state =
      std::make_shared<RunState>(*workspace_, *database, run, options_.which, options_.store_failures, std::move(ids));
  {
    std::lock_guard lock(mutex_);
    runs_[run.dag_run] = state;
  }
  return state->Begin();
}

Result<std::unique_ptr<schedule::Task>> Provider::MakeTask(const schedule::Node& node,
                                                           const schedule::RunContext& run) {
  std::lock_guard lock(mutex_);
  auto state = runs_.find(run.dag_run);
  const ManifestNode* found = workspace_ ? workspace_->manifest().Find(node.id) : nullptr;
  if (state == runs_.end() || !found)
    return Fail(Error(ErrorCode::kUnknownNode, "'" + node.id + "' is no node of this run"));
  return std::make_unique<NodeTask>(state->second, *found);
}

Result<void> Provider::EndRun(const schedule::RunContext& run, const std::vector<schedule::FinishedTask>& tasks) {
  std::shared_ptr<RunState> state;
  {
    std::lock_guard lock(mutex_);
    auto it = runs_.find(run.dag_run);
    if (it == runs_.end()) return {};
    state = it->second;
    runs_.erase(it);
  }
  return state->End(tasks);
}

}  // namespace quern::dbt
