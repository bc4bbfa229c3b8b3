#include <fmt/format.h>

#include "base/text.h"
#include "server/page.h"
#include "server/status_pages.h"

namespace quern::server {

std::string RunTable(const std::vector<schedule::DagRun>& runs, Timestamp now);
std::string ModelTable(const std::vector<report::ModelData>& models);

HttpResponse OverviewPage(const StatusSources& sources, ModelCache& models) {
  const auto now = sources.clock->Now();
  schedule::RunStore::Filter filter;
  filter.limit = 10;
  auto runs = sources.store->Runs(filter);
  if (!runs) return CannotRead(sources, runs.error());
  std::string body;
  HtmlTable schedules({"schedule", "state", "interval", "next due", "message"});
  bool busy = false;
  for (const auto& status : sources.schedules()) {
    busy = busy || status.state == "running";
    schedules.Row({Link("/runs?dag=" + UrlEncode(status.schedule), status.schedule), StateMark(status.state),
                   status.interval ? IntervalText(sources, status.schedule, *status.interval) : "",
                   When(status.next_due), "<span class=\"soft\">" + Escape(status.message) + "</span>"});
  }
  body += Section("Schedules", "", schedules.empty() ? "<p class=\"note\">none</p>" : schedules.Markup());
  const auto known = models.Get();
  if (!known->models.empty()) body += Section("Models", "", ModelTable(known->models));
  if (!known->problem.empty()) body += Section("Models", "", "<p class=\"bad\">" + Escape(known->problem) + "</p>");
  body += Section("Newest runs", "",
                  runs->empty() ? "<p class=\"note\">nothing was run yet</p>"
                                : RunTable(*runs, now) + "<p class=\"pager\">" + Link("/runs", "all runs") + "</p>");
  filter.states = {"failed", "interrupted"};
  filter.limit = 5;
  if (auto failed = sources.store->Runs(filter); failed && !failed->empty())
    body += Section("Runs to look at", "failed or interrupted", RunTable(*failed, now));
  return Render(sources, {.title = sources.project.empty() ? "Overview" : sources.project,
                          .active = "/",
                          .body = body,
                          .refresh_seconds = busy ? 10 : 0});
}

}  // namespace quern::server
