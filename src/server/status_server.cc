#include "server/status_server.h"

#include "base/json.h"
#include "base/secrets.h"
#include "server/metrics.h"

namespace quern::server {
namespace {
HttpResponse Health(const StatusSources& sources) {
  schedule::RunStore::Filter one;
  one.limit = 1;
  auto runs = sources.store->Runs(one);
  Json out = {{"status", runs ? "healthy" : "unhealthy"},
              {"version", sources.version},
              {"metadatabase", {{"status", runs ? "healthy" : "unhealthy"}}},
              {"scheduler", {{"status", "healthy"}, {"latest_scheduler_heartbeat", FormatUtc(sources.clock->Now())}}},
              {"schedules", Json::array()}};
  if (!runs) out["metadatabase"]["message"] = MaskSecrets(runs.error().message());
  for (const auto& status : sources.schedules()) {
    Json entry = {{"schedule", status.schedule}, {"state", status.state}};
    if (status.interval) {
      entry["data_interval_start"] = FormatUtc(status.interval->start);
      entry["data_interval_end"] = FormatUtc(status.interval->end);
    }
    if (status.next_due) entry["next_due"] = FormatUtc(*status.next_due);
    if (!status.message.empty()) entry["message"] = MaskSecrets(status.message);
    out["schedules"].push_back(std::move(entry));
  }
  return {runs ? 200 : 503, "application/json", out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"};
}

HttpResponse Metrics(const StatusSources& sources, Timestamp started) {
  auto totals = sources.store->Metrics();
  if (!totals) return {503, "text/plain; charset=utf-8", MaskSecrets(totals.error().message()) + "\n"};
  return {200, "text/plain; version=0.0.4; charset=utf-8",
          RenderMetrics({*std::move(totals), sources.schedules(), sources.version, sources.clock->Now(), started})};
}
}  // namespace

Result<std::unique_ptr<HttpServer>> StartStatusServer(const HttpOptions& options, const StatusSources& sources) {
  Timestamp started = Clock::System().Now();
  return HttpServer::Start(
      options, {{"GET", "/health", [sources](const HttpRequest&) { return Health(sources); }},
                {"GET", "/metrics", [sources, started](const HttpRequest&) { return Metrics(sources, started); }}});
}

}  // namespace quern::server
