#pragma once
#include "state/database.h"
#include "tracking/types.h"

namespace quern::tracking {

/// Versions that are not deleted and pass `condition` (over v, model_versions), newest first; with tags and aliases.
Result<std::vector<ModelVersion>> ReadVersions(state::Connection& db, std::string_view condition,
                                               const std::vector<state::Param>& params);
/// Registered models that pass `condition` (over m), by name; with tags and aliases.
Result<std::vector<RegisteredModel>> ReadModels(state::Connection& db, std::string_view condition,
                                                const std::vector<state::Param>& params);

/// The version of a model that an alias names.
Result<std::optional<int64_t>> AliasOf(state::Connection& db, const std::string& model, std::string_view alias);

}  // namespace quern::tracking
