#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "report/model_data.h"
#include "schedule/run_store.h"
#include "schedule/scheduler.h"

namespace quern::server {

/// What one scrape shows. Counts come from the metadata database, so they go on over restarts.
struct MetricsInput {
  schedule::RunStore::Totals totals;
  std::vector<schedule::Scheduler::Status> schedules;
  std::string version;
  Timestamp now;
  std::optional<Timestamp> started;  ///< of this process
  const std::vector<report::ModelData>* models = nullptr;
};

/// Prometheus' text format 0.0.4. The table of all metrics is docs/reference/metrics.md; a test compares the two.
std::string RenderMetrics(const MetricsInput& input);

}  // namespace quern::server
