#include "graph/graph.h"

#include <deque>
#include <queue>

#include "base/text.h"

namespace quern::graph {
namespace {

/// Tarjan's components with an own stack, so that a long chain cannot exhaust the thread's.
class Components {
 public:
  explicit Components(const Graph& graph)
      : graph_(graph), number_(size(), -1), low_(size(), 0), on_stack_(size(), false), component_(size(), -1) {}

  /// Component of each node.
  const std::vector<int>& Find() {
    for (NodeIndex node = 0; node < graph_.size(); ++node) {
      if (number_[at(node)] < 0) Visit(node);
    }
    return component_;
  }
  int count() const { return count_; }

 private:
  struct Frame {
    NodeIndex node;
    size_t next_child = 0;
  };
  static size_t at(NodeIndex node) { return static_cast<size_t>(node); }
  size_t size() const { return at(graph_.size()); }

  void Enter(NodeIndex node) {
    number_[at(node)] = low_[at(node)] = next_number_++;
    stack_.push_back(node);
    on_stack_[at(node)] = true;
    frames_.push_back({node});
  }

  void Visit(NodeIndex start) {
    Enter(start);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      const NodeIndex node = frame.node;
      const auto& children = graph_.children(node);
      if (frame.next_child < children.size()) {
        const NodeIndex child = children[frame.next_child++];
        if (number_[at(child)] < 0) {
          Enter(child);
        } else if (on_stack_[at(child)]) {
          low_[at(node)] = std::min(low_[at(node)], number_[at(child)]);
        }
        continue;
      }
      frames_.pop_back();
      if (!frames_.empty()) {
        int& parent_low = low_[at(frames_.back().node)];
        parent_low = std::min(parent_low, low_[at(node)]);
      }
      if (low_[at(node)] == number_[at(node)]) Leave(node);
    }
  }

  void Leave(NodeIndex root) {
    while (true) {
      const NodeIndex node = stack_.back();
      stack_.pop_back();
      on_stack_[at(node)] = false;
      component_[at(node)] = count_;
      if (node == root) break;
    }
    ++count_;
  }

  const Graph& graph_;
  std::vector<int> number_;
  std::vector<int> low_;
  std::vector<bool> on_stack_;
  std::vector<int> component_;
  std::vector<NodeIndex> stack_;
  std::vector<Frame> frames_;
  int next_number_ = 0;
  int count_ = 0;
};

/// A shortest cycle through `start` within its component.
std::vector<NodeIndex> CycleThrough(const Graph& graph, NodeIndex start, const std::vector<int>& component) {
  std::unordered_map<NodeIndex, NodeIndex> came_from;
  std::deque<NodeIndex> queue{start};
  while (!queue.empty()) {
    const NodeIndex node = queue.front();
    queue.pop_front();
    for (NodeIndex child : graph.children(node)) {
      if (component[static_cast<size_t>(child)] != component[static_cast<size_t>(start)]) continue;
      if (child == start) {
        std::vector<NodeIndex> cycle;
        for (NodeIndex at = node; at != start; at = came_from.at(at)) cycle.push_back(at);
        cycle.push_back(start);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (came_from.emplace(child, node).second) queue.push_back(child);
    }
  }
  return {};
}

std::vector<bool> Reach(const std::vector<NodeIndex>& from, int depth,
                        const std::vector<std::vector<NodeIndex>>& next) {
  std::vector<bool> reached(next.size(), false);
  std::vector<bool> is_start(next.size(), false);
  for (NodeIndex node : from) is_start[static_cast<size_t>(node)] = true;
  std::vector<NodeIndex> level = from;
  for (int step = 0; !level.empty() && (depth < 0 || step < depth); ++step) {
    std::vector<NodeIndex> below;
    for (NodeIndex node : level) {
      for (NodeIndex to : next[static_cast<size_t>(node)]) {
        const auto i = static_cast<size_t>(to);
        if (reached[i]) continue;
        reached[i] = true;
        if (!is_start[i]) below.push_back(to);
      }
    }
    level = std::move(below);
  }
  for (NodeIndex node : from) reached[static_cast<size_t>(node)] = false;
  return reached;
}

}  // namespace

Result<NodeIndex> Graph::AddNode(std::string id) {
  const auto [it, added] = index_.emplace(id, size());
  if (!added) return Fail(ErrorCode::kDuplicateNode, fmt::format("there are two nodes '{}'", id));
  ids_.push_back(std::move(id));
  parents_.emplace_back();
  children_.emplace_back();
  return it->second;
}

void Graph::AddEdge(NodeIndex from, NodeIndex to) {
  if (from == to) return;
  auto& children = children_[static_cast<size_t>(from)];
  auto& parents = parents_[static_cast<size_t>(to)];
  // The shorter list is searched: a hub with thousands of children does not make this quadratic.
  const bool known = parents.size() <= children.size()
                         ? std::find(parents.begin(), parents.end(), from) != parents.end()
                         : std::find(children.begin(), children.end(), to) != children.end();
  if (known) return;
  children.push_back(to);
  parents.push_back(from);
}

std::optional<NodeIndex> Graph::Find(std::string_view id) const {
  const auto it = index_.find(std::string(id));
  if (it == index_.end()) return std::nullopt;
  return it->second;
}

Result<std::vector<NodeIndex>> Graph::TopologicalOrder() const {
  std::vector<size_t> waits_for(ids_.size());
  const auto later = [this](NodeIndex a, NodeIndex b) { return id(a) > id(b); };
  std::priority_queue<NodeIndex, std::vector<NodeIndex>, decltype(later)> ready(later);
  for (NodeIndex node = 0; node < size(); ++node) {
    waits_for[static_cast<size_t>(node)] = parents(node).size();
    if (parents(node).empty()) ready.push(node);
  }
  std::vector<NodeIndex> order;
  order.reserve(ids_.size());
  while (!ready.empty()) {
    const NodeIndex node = ready.top();
    ready.pop();
    order.push_back(node);
    for (NodeIndex child : children(node)) {
      if (--waits_for[static_cast<size_t>(child)] == 0) ready.push(child);
    }
  }
  if (order.size() == ids_.size()) return order;
  auto cycles = Cycles();
  auto shortest =
      std::min_element(cycles.begin(), cycles.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  shortest->push_back(shortest->front());
  return Fail(ErrorCode::kCycle, "nodes depend on each other in a circle: " + Join(*shortest, " -> "));
}

std::vector<std::vector<std::string>> Graph::Cycles() const {
  Components components(*this);
  const std::vector<int>& component = components.Find();
  std::vector<std::vector<NodeIndex>> members(static_cast<size_t>(components.count()));
  for (NodeIndex node = 0; node < size(); ++node) {
    members[static_cast<size_t>(component[static_cast<size_t>(node)])].push_back(node);
  }
  std::vector<std::vector<std::string>> out;
  for (const auto& nodes : members) {
    if (nodes.size() < 2) continue;
    const auto first = *std::min_element(nodes.begin(), nodes.end(), [this](auto a, auto b) { return id(a) < id(b); });
    std::vector<std::string> cycle;
    for (NodeIndex node : CycleThrough(*this, first, component)) cycle.push_back(id(node));
    out.push_back(std::move(cycle));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<bool> Graph::Ancestors(const std::vector<NodeIndex>& from, int depth) const {
  return Reach(from, depth, parents_);
}
std::vector<bool> Graph::Descendants(const std::vector<NodeIndex>& from, int depth) const {
  return Reach(from, depth, children_);
}

}  // namespace quern::graph
