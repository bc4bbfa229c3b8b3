#include "server/status_server.h"

#include "base/json.h"
#include "base/secrets.h"
#include "server/metrics.h"
#include "server/model_cache.h"
#include "server/status_pages.h"

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

HttpResponse Metrics(const StatusSources& sources, ModelCache& models, Timestamp started) {
  auto totals = sources.store->Metrics();
  if (!totals) return {503, "text/plain; charset=utf-8", MaskSecrets(totals.error().message()) + "\n"};
  const auto known = models.Get();
  return {200, "text/plain; version=0.0.4; charset=utf-8",
          RenderMetrics({*std::move(totals), sources.schedules(), sources.version, sources.clock->Now(), started,
                         &known->models})};
}

// Keeps what the routes look at as long as they may be called.
class StatusServer : public HttpServer {
 public:
  explicit StatusServer(const StatusSources& sources) : sources_(sources), models_(sources_) {}
  ~StatusServer() override { Stop(); }
  Result<void> Start(const HttpOptions& options) {
    const Timestamp started = Clock::System().Now();
    auto routes = StatusPages(sources_, models_);
    routes.push_back({"GET", "/health", [this](const HttpRequest&) { return Health(sources_); }});
    routes.push_back(
        {"GET", "/metrics", [this, started](const HttpRequest&) { return Metrics(sources_, models_, started); }});
    server_ = QUERN_TRY(HttpServer::Start(options, std::move(routes)));
    return {};
  }
  int port() const override { return server_->port(); }
  void Stop() override {
    if (server_) server_->Stop();
  }

 private:
  StatusSources sources_;
  ModelCache models_;
  std::unique_ptr<HttpServer> server_;
};
}  // namespace

Result<std::unique_ptr<HttpServer>> StartStatusServer(const HttpOptions& options, const StatusSources& sources) {
  auto server = std::make_unique<StatusServer>(sources);
  QUERN_TRY(server->Start(options));
  return server;
}

}  // namespace quern::server
