#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "server/graph_layout.h"
#include "server/page.h"
#include "server/status_pages.h"

namespace quern::server {
namespace {

using graph::NodeIndex;
using schedule::Node;

constexpr size_t kMostDrawn = 400;
constexpr int kNodesAPage = 200;

int Colour(const std::string& kind) {
  static const std::map<std::string, int> kColours = {{"ingest", 1},   {"source", 7},  {"seed", 5},   {"model", 0},
                                                      {"snapshot", 4}, {"test", 2},    {"script", 3}, {"monitor", 4},
                                                      {"retrain", 4},  {"exposure", 7}};
  auto it = kColours.find(kind);
  return it == kColours.end() ? 6 : it->second;
}

std::string Shortened(const std::string& text, size_t most) {
  if (!IsValidUtf8(text) || Utf8Length(text) <= most) return text;
  std::string out;
  size_t count = 0;
  for (char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++count == most) break;
    out += c;
  }
  return out + "…";
}

std::string DotClass(const std::string& state) {
  if (state == "success" || state == "no_op") return "f-ok";
  if (state == "failed") return "f-failed";
  return state.empty() ? "f-none" : "f-warned";
}

using LastTimes = std::map<std::string, schedule::LastTime>;

std::string Draw(const StatusSources& sources, const std::vector<NodeIndex>& shown, const std::string& chosen,
                 const LastTimes& last) {
  const auto& all = *sources.graph;
  std::map<NodeIndex, int> place;
  for (size_t i = 0; i < shown.size(); ++i) place[shown[i]] = static_cast<int>(i);
  std::vector<std::vector<int>> parents(shown.size());
  for (size_t i = 0; i < shown.size(); ++i) {
    for (auto parent : all.dependencies().parents(shown[i])) {
      if (auto it = place.find(parent); it != place.end()) parents[i].push_back(it->second);
    }
  }
  const auto layout = LayOut(parents);
  constexpr double kWidth = 178, kGap = 48, kHeight = 28, kStep = 38;
  const double width = layout.columns * (kWidth + kGap) - kGap + 8, height = layout.rows * kStep + 12;
  auto x = [&](size_t i) { return 4 + layout.column[i] * (kWidth + kGap); };
  auto y = [&](size_t i) { return height / 2 + layout.row[i] * kStep - kHeight / 2; };
  std::string out = fmt::format(
      "<div class=\"scroll\"><svg class=\"graph\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\" role=\"img\" aria-label=\"the graph\">",
      width, height);
  for (size_t i = 0; i < shown.size(); ++i) {
    for (int parent : parents[i]) {
      const auto p = static_cast<size_t>(parent);
      const double x1 = x(p) + kWidth, y1 = y(p) + kHeight / 2, x2 = x(i), y2 = y(i) + kHeight / 2, m = (x1 + x2) / 2;
      out += fmt::format("<path class=\"edge\" d=\"M{:.0f},{:.1f}C{:.0f},{:.1f} {:.0f},{:.1f} {:.0f},{:.1f}\"/>", x1,
                         y1, m, y1, m, y2, x2, y2);
    }
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto& node = all.node(shown[i]);
    auto it = last.find(node.id);
    std::string hint = node.id + (node.materialized.empty() ? "" : "\n" + node.materialized);
    if (it != last.end()) hint += "\n" + it->second.state + " in " + it->second.dag_run;
    if (!node.description.empty()) hint += "\n" + node.description;
    out += fmt::format(
        "<a href=\"{}\"><g class=\"k{}{}\" transform=\"translate({:.0f},{:.1f})\"><title>{}</title><rect class=\"box\" "
        "width=\"{}\" "
        "height=\"{}\" rx=\"6\"/><rect class=\"bar\" width=\"5\" height=\"{}\" rx=\"2\"/><text x=\"13\" "
        "y=\"18\">{}</text>"
        "<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"4\"/></g></a>",
        Escape(NodePath(node.id)), Colour(node.kind), node.id == chosen ? " here" : "", x(i), y(i), Escape(hint),
        kWidth, kHeight, kHeight, Escape(Shortened(node.name, 21)), DotClass(it == last.end() ? "" : it->second.state),
        kWidth - 12, kHeight / 2);
  }
  out += "</svg></div><p class=\"legend\">";
  std::set<std::string> kinds;
  for (auto i : shown) kinds.insert(all.node(i).kind);
  for (const auto& kind : kinds) out += fmt::format("<span><i class=\"k{}\"></i>{}</span>", Colour(kind), Escape(kind));
  return out + "</p>";
}

std::string TableLinks(const std::vector<schedule::TableRef>& tables) {
  std::vector<std::string> links;
  for (const auto& table : tables)
    links.push_back(Link(TablePath(table.schema, table.table), table.schema + "." + table.table));
  return Join(links, ", ");
}

std::string NodeLinks(const StatusSources& sources, const std::vector<NodeIndex>& nodes) {
  std::vector<std::string> links;
  for (auto i : nodes) {
    if (links.size() == 60) {
      links.push_back(fmt::format("and {} more", nodes.size() - 60));
      break;
    }
    links.push_back(Link(NodePath(sources.graph->node(i).id), sources.graph->node(i).id));
  }
  return Join(links, ", ");
}

std::string Details(const StatusSources& sources, NodeIndex index, const LastTimes& last) {
  const Node& node = sources.graph->node(index);
  std::string facts = "<dl>";
  auto fact = [&](const std::string& name, const std::string& markup) {
    if (!markup.empty()) facts += "<dt>" + name + "</dt><dd>" + markup + "</dd>";
  };
  fact("kind", Escape(node.kind + (node.materialized.empty() ? "" : ", " + node.materialized)));
  fact("description", Escape(node.description));
  fact("file", node.path.empty() ? "" : "<code>" + Escape(node.path.string()) + "</code>");
  fact("tags", Escape(Join(node.tags, ", ")));
  std::vector<schedule::TableRef> reads, before;
  for (const auto& read : node.reads)
    (read.mode == schedule::ReadMode::kBeforeRun ? before : reads).push_back(read.table);
  fact("writes", TableLinks(node.writes));
  fact("reads", TableLinks(reads));
  fact("reads as before the run", TableLinks(before));
  fact("needs", NodeLinks(sources, sources.graph->dependencies().parents(index)));
  fact("feeds", NodeLinks(sources, sources.graph->dependencies().children(index)));
  if (auto it = last.find(node.id); it != last.end())
    fact("last time", StateMark(it->second.state) + " in " +
                          Link(LogPath(it->second.dag_run, node.id), it->second.dag_run) + ", " +
                          When(it->second.ended) + ", " + FormatDuration(it->second.seconds));
  return Section("", "", facts + "</dl>");
}

}  // namespace

HttpResponse GraphPage(const StatusSources& sources, const HttpRequest& request) {
  if (sources.graph == nullptr || sources.graph->size() == 0)
    return Render(sources, {.title = "Graph",
                            .active = "/graph",
                            .body = Section("", "", "<p class=\"note\">the project has no nodes</p>")});
  const auto& all = *sources.graph;
  auto asked = request.query.find("node");
  const std::string chosen = asked == request.query.end() ? "" : asked->second;
  auto last = sources.store->LastTimes();
  if (!last) return CannotRead(sources, last.error());
  std::optional<NodeIndex> index;
  if (!chosen.empty()) {
    index = all.Find(chosen);
    if (!index) {
      std::vector<std::string> ids;
      for (NodeIndex i = 0; i < all.size(); ++i) ids.push_back(all.node(i).id);
      const auto near = Nearest(chosen, ids);
      return NotFound(sources, "There is no node '" + chosen + "' in the project as it was loaded.",
                      near ? "Did you mean " + Link(NodePath(*near), *near) + "?" : Link("/graph", "The whole graph"));
    }
  }
  auto order = all.dependencies().TopologicalOrder();
  if (!order) return CannotRead(sources, order.error());
  std::vector<bool> up(static_cast<size_t>(all.size()), true), down(static_cast<size_t>(all.size()), true);
  if (index) {
    up = all.dependencies().Ancestors({*index});
    down = all.dependencies().Descendants({*index});
  }
  std::vector<NodeIndex> shown;
  for (auto i : *order) {
    const auto at = static_cast<size_t>(i);
    if (i == index || (all.node(i).kind != "test" && (up[at] || down[at]))) shown.push_back(i);
  }
  std::string body = index ? Details(sources, *index, *last) : "";
  std::string drawing;
  if (shown.size() > kMostDrawn)
    drawing = fmt::format(
        "<p class=\"note\">{} nodes are too many to draw; choose one below to see what it needs and feeds</p>",
        shown.size());
  else
    drawing = Draw(sources, shown, chosen, *last);
  body += Section(index ? "What it needs and feeds" : "",
                  index ? "" : "tests left out; the dot is a node's last state; a node shows what it needs and feeds",
                  drawing + (index ? "<p class=\"pager\">" + Link("/graph", "the whole graph") + "</p>" : ""));
  if (!index) {
    const int page = PageNumber(request);
    const size_t from = std::min(order->size(), static_cast<size_t>(page - 1) * kNodesAPage);
    const size_t to = std::min(order->size(), from + kNodesAPage);
    HtmlTable table({"last state", "node", "kind", "last run", "#took", "#rows"});
    for (size_t i = from; i < to; ++i) {
      const auto& node = all.node((*order)[i]);
      auto it = last->find(node.id);
      const bool ran = it != last->end();
      table.Row({ran ? StateMark(it->second.state) : "", Link(NodePath(node.id), node.id), Escape(node.kind),
                 ran ? Link(LogPath(it->second.dag_run, node.id), it->second.dag_run) : "",
                 ran ? FormatDuration(it->second.seconds) : "",
                 ran && it->second.rows ? FormatCount(*it->second.rows) : ""});
    }
    body +=
        Section("Nodes", fmt::format("{} in the order of the graph", all.size()),
                table.Markup() + ReplaceAll(ReplaceAll(Pager("/graph", page, to < order->size()), "newer", "before"),
                                            "older", "after"));
  }
  return Render(sources, {.title = index ? chosen : "Graph", .active = "/graph", .body = body});
}

}  // namespace quern::server
