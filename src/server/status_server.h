#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "schedule/run_store.h"
#include "schedule/scheduler.h"
#include "server/http_server.h"

namespace quern::server {

/// Where the status pages look. Everything outlives the server; called from handler threads.
struct StatusSources {
  schedule::RunStore* store = nullptr;
  std::function<std::vector<schedule::Scheduler::Status>()> schedules;
  const Clock* clock = nullptr;
  std::string version;
};

/// `GET /health` (JSON; 200 when the metadata database answers, else 503) and `GET /metrics` (Prometheus' text format).
/// Errors as HttpServer::Start.
Result<std::unique_ptr<HttpServer>> StartStatusServer(const HttpOptions& options, const StatusSources& sources);

}  // namespace quern::server
