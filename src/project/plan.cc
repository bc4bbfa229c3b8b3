#include "project/plan.h"

#include "base/text.h"

namespace quern::project {
namespace {

using graph::NodeIndex;

// "2+tag:x+", "@x" -> "tag:x", "x": the criterion without the operators that walk the graph.
std::string Bare(std::string_view criterion) {
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t from = 0;
  while (from < criterion.size() && digit(criterion[from])) ++from;
  if (from < criterion.size() && criterion[from] == '+') {
    criterion.remove_prefix(from + 1);
  } else if (!criterion.empty() && criterion[0] == '@') {
    criterion.remove_prefix(1);
  }
  size_t end = criterion.size();
  while (end > 0 && digit(criterion[end - 1])) --end;
  if (end > 0 && criterion[end - 1] == '+') criterion = criterion.substr(0, end - 1);
  return std::string(criterion);
}

std::string ShortName(const schedule::Node& node) {
  return node.name.empty() ? node.id : node.name;
}

}  // namespace

std::vector<std::string> Reasons(const schedule::NodeGraph& graph, const schedule::Workload& work,
                                 const std::string& root_package) {
  auto size = static_cast<size_t>(graph.size());
  std::vector<std::string> out(size);
  if (work.select.empty()) {
    for (size_t i = 0; i < size; ++i) out[i] = work.selected[i] ? "the whole graph" : "";
    return out;
  }
  // Nodes that a criterion names itself.
  for (const auto& text : work.select) {
    for (const auto& part : SplitWords(text)) {
      std::vector<std::string> criteria;
      for (const auto& each : Split(part, ',')) criteria.push_back(Bare(each));
      graph::SelectOptions options{.indirect = graph::IndirectSelection::kEmpty, .root_package = root_package};
      auto named = graph.Select({Join(criteria, ",")}, {}, options);
      if (!named) continue;
      for (size_t i = 0; i < size; ++i) {
        if (work.selected[i] && named->nodes[i] && out[i].empty()) out[i] = "selected by " + part;
      }
    }
  }
  // The rest came along: by the nearest selected node that was named.
  std::vector<NodeIndex> named;
  for (size_t i = 0; i < size; ++i) {
    if (!out[i].empty()) named.push_back(static_cast<NodeIndex>(i));
  }
  auto come_along = [&](auto neighbours, std::string_view word) {
    std::vector<std::pair<NodeIndex, NodeIndex>> queue;  // node, the named one it came from
    std::vector<bool> seen(size);
    for (NodeIndex n : named) {
      queue.emplace_back(n, n);
      seen[static_cast<size_t>(n)] = true;
    }
    for (size_t at = 0; at < queue.size(); ++at) {
      auto [node, origin] = queue[at];
      for (NodeIndex next : neighbours(node)) {
        auto i = static_cast<size_t>(next);
        if (seen[i]) continue;
        seen[i] = true;
        if (work.selected[i] && out[i].empty()) {
          out[i] = fmt::format("{} {}", graph.node(next).gate && word == "downstream of" ? "tests" : word,
                               ShortName(graph.node(origin)));
        }
        queue.emplace_back(next, origin);
      }
    }
  };
  come_along([&](NodeIndex n) { return graph.dependencies().parents(n); }, "upstream of");
  // A test that came along is explained by what it tests, whatever brought that.
  for (size_t i = 0; i < size; ++i) {
    const auto& node = graph.node(static_cast<NodeIndex>(i));
    if (!work.selected[i] || !node.gate || out[i].starts_with("selected")) continue;
    for (NodeIndex parent : graph.dependencies().parents(static_cast<NodeIndex>(i))) {
      if (!work.selected[static_cast<size_t>(parent)]) continue;
      out[i] = "tests " + ShortName(graph.node(parent));
      break;
    }
  }
  come_along([&](NodeIndex n) { return graph.dependencies().children(n); }, "downstream of");
  for (size_t i = 0; i < size; ++i) {
    if (work.selected[i] && out[i].empty()) out[i] = "comes with the selection";
  }
  return out;
}

Result<std::vector<PlannedNode>> MakePlan(Project& project, const schedule::Workload& work,
                                          const schedule::RunContext& run) {
  const auto& graph = project.graph();
  std::map<std::string, schedule::LastTime> last;
  std::map<std::string, std::string> states;
  if (schedule::RunStore* store = QUERN_TRY(project.runs_if_any())) {
    last = QUERN_TRY(store->LastTimes());
    auto found = store->FindRun(run.dag_run);
    if (found) {
      for (const auto& task : QUERN_TRY(store->Tasks(found->key))) states[task.node] = task.state;
    } else if (found.error().code() != ErrorCode::kRunNotFound) {
      return Fail(found.error());
    }
  }
  auto reasons = Reasons(graph, work, project.config().name);
  std::vector<PlannedNode> out;
  for (NodeIndex i : QUERN_TRY(graph.execution().TopologicalOrder())) {
    const auto& node = graph.node(i);
    if (!work.selected[static_cast<size_t>(i)] || !node.runs) continue;
    PlannedNode planned{.node = i, .why = reasons[static_cast<size_t>(i)], .outlook = {}, .last = {}};
    if (auto it = last.find(node.id); it != last.end()) planned.last = it->second;
    if (auto it = states.find(node.id); it != states.end()) {
      planned.done = it->second == "success" || it->second == "warned" || it->second == "no_op";
    }
    if (!planned.done) planned.outlook = QUERN_TRY(graph.provider(i)->Outlook(node, run));
    out.push_back(std::move(planned));
  }
  return out;
}

}  // namespace quern::project
