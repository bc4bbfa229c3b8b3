#pragma once
#include "base/result.h"
#include "dbt/workspace.h"

namespace quern::dbt {

/// Compiles the project's models, seeds, snapshots and tests and binds their SQL in order, in memory: seeds and models
/// stand there as empty views of the columns that they would have. What reads a source whose columns nobody knows is
/// not looked into. Places of what does not bind go to `diagnostics`. Opens no file of the target.
void CheckBinding(const Workspace& workspace, Diagnostics& diagnostics);

}  // namespace quern::dbt
