#pragma once
#include <vector>

#include "report/report.h"
#include "schedule/node_graph.h"
#include "schedule/run_store.h"

namespace quern::report {

/// Gathers what the report draws about `runs` (oldest first) from the metadata database: their last attempts' tasks,
/// with the graph as it is now; nodes that ran then and are gone are kept without edges. Errors: the store's.
Result<ReportData> Collect(schedule::RunStore& store, const schedule::NodeGraph& graph,
                           const std::vector<schedule::DagRun>& runs);

}  // namespace quern::report
