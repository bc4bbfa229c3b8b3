#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "report/model_data.h"
#include "warehouse/warehouse.h"

namespace quern::report {

struct ModelReaderOptions {
  /// Models by name with their tables of predictions ("predictions.late_arrival"), as the graph knows them. Others that
  /// have tables in `monitoring` are found too.
  std::map<std::string, warehouse::TableName> known{};
  std::map<std::string, TimeZone>
      zones{};            ///< by schedule; periods are named in the zone of the schedule that made them
  int most_periods = 36;  ///< the newest
};

/// Whether a warehouse's folder has anything of models at all; a look at the disk, no engine is started.
bool HasMonitoring(const std::filesystem::path& warehouse_root);

/// Changes whenever a table that ReadModels reads got a commit; cheap, no engine is started.
std::string MonitoringState(const std::filesystem::path& warehouse_root);

/// Reads what monitoring.<model>_* say, models by name. A table that cannot be read, or has other columns than ours,
/// becomes a problem of its model. Read-only; some small queries a model, in a session of its own. Errors: those of
/// opening a session or listing the tables.
Result<std::vector<ModelData>> ReadModels(warehouse::Warehouse& warehouse, const ModelReaderOptions& options);

}  // namespace quern::report
