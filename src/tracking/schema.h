#pragma once
#include <string_view>

#include "base/result.h"
#include "state/database.h"

namespace quern::tracking {

/// The Alembic revision of MLflow 3.17, the schema that is made and understood here.
inline constexpr std::string_view kSchemaHead = "dc11669786a5";
inline constexpr std::string_view kSchemaRelease = "3.17";

enum class SchemaState { kEmpty, kReady };

/// kReady: MLflow's tables at kSchemaHead. kEmpty: no table at all. Anything else: kTrackingSchema, saying what was
/// found and what to do. `path` is for the message.
Result<SchemaState> CheckSchema(state::Connection& connection, const std::string& path);

/// Makes all tables, indexes and first rows as `mlflow db upgrade` does on an empty database.
Result<void> CreateSchema(state::Connection& connection);

}  // namespace quern::tracking
