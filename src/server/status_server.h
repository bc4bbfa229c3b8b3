#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "report/model_reader.h"
#include "schedule/node_graph.h"
#include "schedule/run_store.h"
#include "schedule/scheduler.h"
#include "server/http_server.h"

namespace quern::server {

/// Where the status pages look. Everything outlives the server; called from handler threads. What is only for pages may
/// stay empty: then they say that there is nothing.
struct StatusSources {
  schedule::RunStore* store = nullptr;
  std::function<std::vector<schedule::Scheduler::Status>()> schedules{};
  const Clock* clock = nullptr;
  std::string version{};

  std::string project{};
  std::string target{};
  const schedule::NodeGraph* graph = nullptr;
  std::filesystem::path log_root{};
  std::filesystem::path warehouse_root{};  ///< looked at before the engine is started
  std::function<Result<warehouse::Warehouse*>()> warehouse{};
  report::ModelReaderOptions models{};
  std::filesystem::path registry_path{};  ///< the file that `registry` reads: looked at for changes
  std::function<Result<std::vector<report::RegistryModel>>()> registry{};
};

/// `GET /health` (JSON; 200 when the metadata database answers, else 503), `GET /metrics` (Prometheus' text format),
/// and the status pages (status_pages.h). Errors as HttpServer::Start.
Result<std::unique_ptr<HttpServer>> StartStatusServer(const HttpOptions& options, const StatusSources& sources);

}  // namespace quern::server
