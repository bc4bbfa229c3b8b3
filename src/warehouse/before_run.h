#pragma once
#include <optional>
#include <string>

#include "warehouse/warehouse.h"

namespace quern::warehouse {

/// The last version of a table before a DAG run's first commit to it: how it stood before the run, also when the run
/// goes on after a kill. Nothing when the table does not exist, or was made by that run.
Result<std::optional<int64_t>> VersionBeforeRun(Warehouse& warehouse, const TableName& table,
                                                const std::string& dag_run);

}  // namespace quern::warehouse
