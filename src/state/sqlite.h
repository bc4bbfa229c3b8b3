#pragma once
#include "state/database.h"

namespace quern::state {

/// See Database::Open.
Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, const OpenOptions& options);

}  // namespace quern::state
