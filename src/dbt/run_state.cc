#include "dbt/run_state.h"

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "dbt/context/datetime.h"
#include "dbt/context/values.h"
#include "io/files.h"

namespace quern::dbt {

namespace fs = std::filesystem;
using jinja::Value;

std::string NodeFilePath(const ManifestNode& node) {
  bool own_file = fs::path(node.path).filename() == fs::path(node.original_file_path).filename();
  return node.package + "/" + (own_file ? node.original_file_path : node.original_file_path + "/" + node.path);
}

Result<void> WriteArtifact(const fs::path& path, std::string_view text) {
  std::error_code ec;
  fs::create_directories(path.parent_path(), ec);
  if (ec)
    return Fail(Error(ErrorCode::kIo, "cannot make the folder " + path.parent_path().string() + ": " + ec.message()));
  QUERN_TRY_CONTEXT(io::WriteFileAtomically(path, text), "writing " + path.string());
  return {};
}

RunState::RunState(const Workspace& workspace, Database& database, const schedule::RunContext& run, std::string which,
                   bool store_failures, std::vector<std::string> selected)
    : workspace_(workspace), database_(database), run_(run), which_(std::move(which)), selected_(std::move(selected)) {
  Invocation invocation = workspace.invocation();
  invocation.full_refresh = run.full_refresh;
  invocation.store_failures = store_failures;
  invocation.which = which_;
  shared_["flags"] = MakeFlags(workspace, invocation);
  if (!run.invocation_id.empty()) shared_["invocation_id"] = Value(run.invocation_id);
}

std::unique_ptr<RenderContext> RunState::ContextOf(const ManifestNode& node, Session* session,
                                                   schedule::TaskLog* log) const {
  const Package* package = workspace_.FindPackage(node.package);
  auto context = std::make_unique<RenderContext>(workspace_, *package, &node, RenderContext::Mode::kCompile);
  context->session = session;
  context->run = &run_;
  context->log = log;
  context->shared = &shared_;
  context->selected = &selected_;
  return context;
}

void RunState::Record(NodeResult result, std::optional<CompiledCode> compiled) {
  std::lock_guard lock(mutex_);
  if (compiled) compiled_[result.unique_id] = *std::move(compiled);
  // a further try replaces what an earlier one said
  std::erase_if(results_, [&](const NodeResult& r) { return r.unique_id == result.unique_id; });
  results_.push_back(std::move(result));
}

std::map<std::string, CompiledCode> RunState::compiled() const {
  std::lock_guard lock(mutex_);
  return compiled_;
}

std::vector<NodeResult> RunState::results() const {
  std::lock_guard lock(mutex_);
  return results_;
}

Result<void> RunState::Begin() {
  if (which_ == "compile") return {};
  // Schemas first: what is built may run at once, and two that make one schema would conflict.
  std::map<std::string, const ManifestNode*> schemas;
  bool any = false;
  for (const std::string& id : selected_) {
    const ManifestNode* node = workspace_.manifest().Find(id);
    if (!node || node->is_ephemeral() || node->type == ResourceType::kSource || node->type == ResourceType::kExposure)
      continue;
    any = true;
    if (node->is_refable() || node->relation_name)
      schemas.try_emplace(Lower(node->database) + "." + Lower(node->schema), node);
  }
  if (!any) return {};
  if (!schemas.empty()) {
    std::unique_ptr<Session> session = QUERN_TRY(database_.Connect());
    for (const auto& [key, node] : schemas) {
      std::vector<std::string> there = QUERN_TRY(session->ListSchemas(node->database));
      if (std::any_of(there.begin(), there.end(),
                      [&](const std::string& s) { return EqualsIgnoreCase(s, node->schema); }))
        continue;
      std::unique_ptr<RenderContext> context = ContextOf(*node, session.get(), nullptr);
      context->mode = RenderContext::Mode::kRun;
      const Macro* macro = workspace_.macros().Lookup(workspace_.root().name, "create_schema");
      if (!macro) return Fail(Error(ErrorCode::kInternal, "the macro create_schema is missing"));
      RelationData relation = context->RelationOf(*node);
      relation.identifier.reset();
      Result<Value> made = jinja::CallMacro(workspace_.jinja(), macro->callable, {MakeRelation(relation)}, {},
                                            workspace_.ScopeOf(workspace_.root().name), context->Options());
      if (!made) return Fail(std::move(std::move(made).error()).Context("making schema " + node->schema));
      QUERN_TRY(session->Commit());
    }
  }
  return RunHooks("on-run-start", false);
}

Result<void> RunState::RunHooks(const std::string& when, bool end) {
  std::vector<const ManifestNode*> hooks;
  for (const auto& [id, node] : workspace_.manifest().nodes) {
    if (node->type == ResourceType::kOperation &&
        std::find(node->tags.begin(), node->tags.end(), when) != node->tags.end())
      hooks.push_back(node.get());
  }
  std::sort(hooks.begin(), hooks.end(),
            [](const ManifestNode* a, const ManifestNode* b) { return a->hook_index < b->hook_index; });
  if (hooks.empty()) return {};
  std::unique_ptr<Session> session = QUERN_TRY(database_.Connect());
  for (const ManifestNode* hook : hooks) {
    std::unique_ptr<RenderContext> context = ContextOf(*hook, session.get(), nullptr);
    if (end) {
      std::vector<std::string> schemas;
      std::vector<Value> database_schemas;
      for (const std::string& id : selected_) {
        const ManifestNode* node = workspace_.manifest().Find(id);
        if (!node || !node->relation_name || node->type == ResourceType::kSource) continue;
        if (std::find(schemas.begin(), schemas.end(), node->schema) != schemas.end()) continue;
        schemas.push_back(node->schema);
        database_schemas.push_back(Value::NewTuple({Value(node->database), Value(node->schema)}));
      }
      context->locals["schemas"] = ListOf(schemas);
      context->locals["database_schemas"] = Value::NewList(std::move(database_schemas));
      std::vector<Value> results;
      for (const NodeResult& r : this->results()) {
        const ManifestNode* node = workspace_.manifest().Find(r.unique_id);
        results.push_back(Value::NewDict({{"status", Value(r.status)},
                                          {"message", Value(r.message)},
                                          {"unique_id", Value(r.unique_id)},
                                          {"execution_time", Value(r.execution_time)},
                                          {"thread_id", Value(r.thread_id)},
                                          {"failures", r.failures ? Value(*r.failures) : Value()},
                                          {"adapter_response", Value::FromJson(r.adapter_response)},
                                          {"timing", Value::NewList()},
                                          {"node", node ? NodeValue(*node) : Value()}}));
      }
      context->locals["results"] = Value::NewList(std::move(results));
    }
    NodeResult result;
    result.unique_id = hook->unique_id;
    Timestamp begun = workspace_.clock().Now();
    auto run = [&]() -> Result<void> {
      Compiled compiled = QUERN_TRY(CompileNode(workspace_, *hook, *context));
      result.compiled_code = compiled.record.code;
      std::string sql = std::string(Trim(compiled.record.code));
      if (!sql.empty()) {
        Result<engine::QueryResult> done = session->Execute(compiled.record.code, false);
        if (!done) return Fail(PlaceSqlError(std::move(done).error(), compiled.code));
      }
      return {};
    };
    Result<void> done = run();
    result.execution_time =
        static_cast<double>(MicrosSinceEpoch(workspace_.clock().Now()) - MicrosSinceEpoch(begun)) / 1e6;
    result.status = done ? "success" : "error";
    result.message = done ? hook->name + " passed" : done.error().message();
    result.failures = 0;
    Record(result, std::nullopt);
    if (!done)
      return Fail(
          std::move(std::move(done).error()).Context(when + " hook " + std::to_string(hook->hook_index)).At(hook->pos));
  }
  return {};
}

Result<void> RunState::End(const std::vector<schedule::FinishedTask>& tasks) {
  Result<void> hooks;
  bool any = std::any_of(tasks.begin(), tasks.end(), [&](const schedule::FinishedTask& t) {
    return t.node && workspace_.manifest().Find(t.node->id);
  });
  if (any && which_ != "compile") hooks = RunHooks("on-run-end", true);
  Result<void> written = WriteArtifacts(tasks);
  if (!hooks) return hooks;
  return written;
}

Result<void> RunState::WriteArtifacts(const std::vector<schedule::FinishedTask>& tasks) {
  std::vector<NodeResult> results = this->results();
  double elapsed = 0;
  std::optional<Timestamp> first, last;
  for (const schedule::FinishedTask& task : tasks) {
    if (!task.node || !workspace_.manifest().Find(task.node->id)) continue;
    if (!first || task.started < *first) first = task.started;
    if (!last || task.ended > *last) last = task.ended;
    auto known =
        std::find_if(results.begin(), results.end(), [&](const NodeResult& r) { return r.unique_id == task.node->id; });
    if (known != results.end()) {
      known->thread_id = "Thread-" + std::to_string(task.thread + 1);
      continue;
    }
    NodeResult skipped;
    skipped.unique_id = task.node->id;
    skipped.status = task.state == "skipped" || task.state == "cancelled" ? "skipped"
                     : task.state == "failed"                             ? "error"
                                                                          : "success";
    skipped.message = task.result.message;
    results.push_back(std::move(skipped));
  }
  if (first && last) elapsed = static_cast<double>(MicrosSinceEpoch(*last) - MicrosSinceEpoch(*first)) / 1e6;
  QUERN_TRY(WriteArtifact(workspace_.target_path() / "manifest.json", ManifestJson(workspace_, compiled()).dump()));
  QUERN_TRY(WriteArtifact(workspace_.target_path() / "run_results.json",
                          RunResultsJson(workspace_, results, elapsed).dump()));
  return {};
}

}  // namespace quern::dbt
