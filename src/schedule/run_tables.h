#pragma once
#include <vector>

#include "state/database.h"

namespace quern::schedule {

/// The tables of this part, step by step. Times are microseconds since 1970 (UTC); a target's runs are apart from
/// another's.
std::vector<state::Migration> RunTables();

}  // namespace quern::schedule
