#pragma once
#include <vector>

#include "server/model_cache.h"
#include "server/status_server.h"

namespace quern::server {

/// The read-only pages of `quern up`: /, /runs, /graph, /tables, /models and what lies below; docs/reference/
/// status-pages.md. `sources` and `models` outlive the routes.
std::vector<HttpServer::Route> StatusPages(const StatusSources& sources, ModelCache& models);

// One function a page; they are routes.
HttpResponse OverviewPage(const StatusSources& sources, ModelCache& models);
HttpResponse RunsPage(const StatusSources& sources, const HttpRequest& request);
/// /runs/<dag>/<run> and /runs/<dag>/<run>/logs/<task>
HttpResponse RunPages(const StatusSources& sources, const HttpRequest& request);
HttpResponse GraphPage(const StatusSources& sources, const HttpRequest& request);
HttpResponse TablesPage(const StatusSources& sources, const HttpRequest& request);
HttpResponse TablePage(const StatusSources& sources, const HttpRequest& request);
HttpResponse ModelsPage(const StatusSources& sources, ModelCache& models);
HttpResponse ModelPage(const StatusSources& sources, ModelCache& models, const HttpRequest& request);

}  // namespace quern::server
