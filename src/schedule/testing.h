#pragma once
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "schedule/node_graph.h"
#include "schedule/run_store.h"

// Support for this part's tests and its neighbours': a provider whose tasks do what the test says.
namespace quern::schedule::testing {

inline Node MakeNode(std::string id, std::vector<std::string> depends_on = {}) {
  Node node;
  node.id = std::move(id);
  node.kind = "fake";
  node.name = node.id;
  node.package = "test";
  node.depends_on = std::move(depends_on);
  return node;
}

class FakeProvider : public NodeProvider {
 public:
  using Work = std::function<TaskResult(TaskContext&)>;

  std::string_view name() const override { return "fake"; }
  std::vector<Node> Load(Diagnostics&) override { return {}; }
  void Check(Diagnostics&) override {}
  Result<void> BeginRun(const RunContext& run, const std::vector<const Node*>& selected) override {
    std::lock_guard lock(mutex);
    begun.push_back(run.dag_run);
    selected_count = static_cast<int>(selected.size());
    if (begin_error) return Fail(*begin_error);
    return {};
  }
  Result<std::unique_ptr<Task>> MakeTask(const Node& node, const RunContext&) override {
    return std::make_unique<FakeTask>(*this, node.id);
  }
  Result<void> EndRun(const RunContext& run, const std::vector<FinishedTask>& tasks) override {
    std::lock_guard lock(mutex);
    ended.push_back(run.dag_run);
    ended_tasks = static_cast<int>(tasks.size());
    return {};
  }

  /// "a b c": nodes in the order in which they began.
  std::string Started() {
    std::lock_guard lock(mutex);
    return fmt::format("{}", fmt::join(started, " "));
  }

  std::mutex mutex;
  std::vector<std::string> started;
  std::map<std::string, Work> work;  ///< others succeed at once
  std::vector<std::string> begun;
  std::vector<std::string> ended;
  int selected_count = 0;
  int ended_tasks = 0;
  std::optional<Error> begin_error;

 private:
  class FakeTask : public Task {
   public:
    FakeTask(FakeProvider& provider, std::string id) : provider_(provider), id_(std::move(id)) {}
    TaskResult Run(TaskContext& context) override {
      Work work;
      {
        std::lock_guard lock(provider_.mutex);
        provider_.started.push_back(id_);
        if (const auto it = provider_.work.find(id_); it != provider_.work.end()) work = it->second;
      }
      return work ? work(context) : TaskResult{};
    }

   private:
    FakeProvider& provider_;
    std::string id_;
  };
};

inline TaskResult Failed(std::string message, ErrorCode code = ErrorCode::kTaskFailed) {
  TaskResult result;
  result.status = TaskStatus::kFailed;
  result.error = Error(code, message);
  result.message = std::move(message);
  return result;
}

inline NodeGraph MakeGraph(std::vector<Node> nodes, NodeProvider& provider) {
  std::vector<NodeGraph::Entry> entries;
  for (auto& node : nodes) entries.push_back({std::move(node), &provider});
  Diagnostics diagnostics;
  auto graph = NodeGraph::Build(std::move(entries), diagnostics);
  for (const auto& error : diagnostics.errors()) fmt::print(stderr, "{}\n", error.ToString());
  QUERN_CHECK(diagnostics.ok());
  return graph;
}

inline RunContext MakeRun(const std::string& schedule, std::string_view day) {
  RunContext run;
  run.schedule = schedule;
  run.dag_run = fmt::format("{}/{}", schedule, day);
  run.logical_date = *ParseTimestamp(day, TimeZone::Utc());
  run.interval = {run.logical_date, run.logical_date + std::chrono::days(1)};
  return run;
}

}  // namespace quern::schedule::testing
