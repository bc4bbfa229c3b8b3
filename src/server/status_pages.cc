#include "server/status_pages.h"

#include <fmt/format.h>

#include "base/text.h"
#include "report/report.h"
#include "server/page.h"

namespace quern::server {
namespace {

// What pages have beyond the report's theme.
constexpr std::string_view kStyle = R"css(
nav { background: var(--panel); border-bottom: 1px solid var(--line); padding: 9px 16px; display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; }
nav b { margin-right: 6px; }
nav a { color: var(--soft); text-decoration: none; padding: 2px 0; }
nav a[aria-current] { color: var(--ink); font-weight: 600; border-bottom: 2px solid var(--accent); }
a { color: var(--accent); text-decoration: none; overflow-wrap: anywhere; }
a:hover { text-decoration: underline; }
header h1 { overflow-wrap: anywhere; }
main > section:first-of-type { margin-top: 10px; }
td a { overflow-wrap: normal; }
.s-ok { color: var(--ok); } .s-failed { color: var(--bad); } .s-warned { color: var(--warn); } .s-running { color: var(--run); } .s-quiet { color: var(--soft); }
.pager { display: flex; gap: 14px; align-items: baseline; margin: 10px 0 0; font-size: 13px; }
pre.log { font: 12px/1.5 ui-monospace, monospace; overflow-x: auto; margin: 0; padding: 10px 12px; background: var(--bg); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin: 0; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; margin: 14px 0; }
.card { padding: 11px 14px; } .card b { display: block; font-size: 20px; font-variant-numeric: tabular-nums; } .card span { color: var(--soft); font-size: 13px; }
svg.graph { display: block; } svg.graph text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg.graph .edge { fill: none; stroke: var(--soft); stroke-opacity: 0.45; }
svg.graph .box { fill: var(--panel); stroke-width: 1.5; }
svg.graph .here .box { stroke-width: 3; }
svg.graph a:hover .box { fill: var(--bg); }
svg.graph .f-ok { fill: var(--ok); } svg.graph .f-failed { fill: var(--bad); } svg.graph .f-warned { fill: var(--warn); } svg.graph .f-none { fill: none; stroke: var(--line); }
.filter { display: flex; flex-wrap: wrap; gap: 4px 12px; font-size: 13px; margin: 0 0 8px; }
.filter b { font-weight: 600; }
@media (max-width: 600px) { td a { display: inline-block; white-space: normal; overflow-wrap: anywhere; min-width: 190px; } }
p.note { color: var(--soft); font-size: 13px; }
)css";

// Stroke and fill by kind of node: c0 to c7.
std::string KindStyle() {
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += fmt::format(
        "svg.graph .k{0} .box {{ stroke: var(--c{0}); }} svg.graph .k{0} .bar {{ fill: var(--c{0}); }} i.k{0} {{ "
        "background: var(--c{0}); }}\n",
        i);
  return out;
}

HttpResponse Style() {
  static const std::string kAll = std::string(report::ThemeCss()) + std::string(kStyle) + KindStyle();
  return {200, "text/css; charset=utf-8", kAll, {{"Cache-Control", "no-cache"}}};
}

}  // namespace

std::vector<HttpServer::Route> StatusPages(const StatusSources& sources, ModelCache& models) {
  using Request = const HttpRequest&;
  return {
      {"GET", "/", [&](Request) { return OverviewPage(sources, models); }},
      {"GET", "/style.css", [](Request) { return Style(); }},
      {"GET", "/runs", [&](Request request) { return RunsPage(sources, request); }},
      {"GET", "/runs/*", [&](Request request) { return RunPages(sources, request); }},
      {"GET", "/graph", [&](Request request) { return GraphPage(sources, request); }},
      {"GET", "/tables", [&](Request request) { return TablesPage(sources, request); }},
      {"GET", "/tables/*", [&](Request request) { return TablePage(sources, request); }},
      {"GET", "/models", [&](Request) { return ModelsPage(sources, models); }},
      {"GET", "/models/*", [&](Request request) { return ModelPage(sources, models, request); }},
      {"GET", "/*", [&](Request request) { return NotFound(sources, "There is no page " + request.path + "."); }},
  };
}

}  // namespace quern::server
