#pragma once
#include <vector>

#include "engine/connection.h"
#include "ingest/schema.h"
#include "ingest/source.h"

namespace quern::ingest {

/// How a planned column is computed from its source.
ValueSpec SpecOf(const TableConfig& config, const SourceColumn& source, const PlannedColumn& column);

/// Gives a type to every column whose type is guessed: the first candidate that all values fit, VARCHAR when there are
/// no values. `sample` > 0 looks at that many rows only; columns without values in the sample then keep kUnknown. Pure
/// in the content: the same rows give the same types, in whatever order and in however many files they come.
Result<void> InferTypes(const TableConfig& config, const Source& source, engine::Connection& connection, int64_t sample,
                        SchemaPlan& plan);

/// A type that keeps both what the table has in the column and what arrives; VARCHAR at last. Nothing when not even
/// that helps (a null where none may be).
Result<std::optional<Type>> WiderType(const TableConfig& config, const Source& source, engine::Connection& connection,
                                      const PlannedColumn& column, const std::string& table);

}  // namespace quern::ingest
