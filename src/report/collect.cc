#include "report/collect.h"

#include <algorithm>
#include <unordered_map>

namespace quern::report {
namespace {
std::string ErrorText(const Json& error) {
  std::string text = error.value("message", "");
  if (error.contains("file")) {
    std::string place = error["file"].get<std::string>();
    for (const char* key : {"line", "column"}) {
      if (error.contains(key)) place += ":" + std::to_string(error[key].get<int>());
    }
    text = place + ": " + text;
  }
  if (error.contains("hint")) text += "\nhint: " + error["hint"].get<std::string>();
  return text;
}

double SecondsOf(const schedule::DagRun& run) {
  if (!run.started || !run.ended) return 0;
  return std::chrono::duration<double>(*run.ended - *run.started).count();
}
}  // namespace

Result<ReportData> Collect(schedule::RunStore& store, const schedule::NodeGraph& graph,
                           const std::vector<schedule::DagRun>& runs) {
  ReportData out;
  std::unordered_map<std::string, int> index;
  std::vector<std::pair<const schedule::DagRun*, std::vector<schedule::TaskInstance>>> loaded;
  std::vector<bool> used(static_cast<size_t>(graph.size()), false);
  for (const auto& run : runs) {
    loaded.emplace_back(&run, QUERN_TRY(store.Tasks(run.key)));
    for (const auto& task : loaded.back().second) {
      if (auto node = graph.Find(task.node)) used[static_cast<size_t>(*node)] = true;
    }
  }
  // Nodes that ran, and those that only stand in the graph (sources) where they join two of them.
  for (graph::NodeIndex i = 0; i < graph.size(); ++i) {
    if (graph.node(i).runs) continue;
    const auto& children = graph.dependencies().children(i);
    used[static_cast<size_t>(i)] =
        std::any_of(children.begin(), children.end(), [&](auto c) { return used[static_cast<size_t>(c)]; });
  }
  // In the order of the graph, so that the page's lists read from upstream to downstream.
  auto order = graph.dependencies().TopologicalOrder();
  if (!order) return Fail(order.error());
  for (auto i : *order) {
    if (!used[static_cast<size_t>(i)]) continue;
    const auto& node = graph.node(i);
    index[node.id] = static_cast<int>(out.nodes.size());
    out.nodes.push_back({node.id, node.kind, node.name, node.materialized, node.description, node.tags, {}});
    for (auto parent : graph.dependencies().parents(i)) {
      if (auto it = index.find(graph.node(parent).id); it != index.end())
        out.nodes.back().parents.push_back(it->second);
    }
  }
  std::vector<std::string> ids;
  for (auto& [run, tasks] : loaded) {
    ReportRun entry;
    entry.dag_run = run->id;
    entry.state = run->state;
    entry.seconds = SecondsOf(*run);
    ids.push_back(run->id);
    for (auto& task : tasks) {
      auto [it, added] = index.try_emplace(task.node, static_cast<int>(out.nodes.size()));
      if (added)
        out.nodes.push_back(
            {task.node, task.kind, task.node.substr(task.node.find('.') + 1), "", "no longer in the project", {}, {}});
      ReportTask item;
      item.node = it->second;
      item.state = task.state;
      if (task.started && task.ended) item.seconds = task.seconds;
      item.rows = task.rows;
      item.discarded = task.rows_discarded;
      item.message = std::move(task.message);
      if (task.error) item.error = ErrorText(*task.error);
      entry.tasks.push_back(std::move(item));
    }
    std::sort(entry.tasks.begin(), entry.tasks.end(),
              [](const ReportTask& a, const ReportTask& b) { return a.node < b.node; });
    out.runs.push_back(std::move(entry));
  }
  auto labels = AxisLabels(ids);
  for (size_t i = 0; i < labels.size(); ++i) out.runs[i].label = std::move(labels[i]);
  return out;
}

}  // namespace quern::report
