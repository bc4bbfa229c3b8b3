#pragma once
#include "engine/connection.h"
#include "ingest/load.h"
#include "ingest/source.h"
#include "ingest/write_sql.h"

namespace quern::ingest {

/// Writes the lists inside the rows of the stage (TableWriter::kStage) to tables of their own, `<name>__<field>`, each
/// by one commit before that of the table itself. What an earlier try left of the same files or rows is replaced, so
/// that a load that died in between can be repeated. Columns: _quern_root_id, _quern_parent_id, _quern_index, the key
/// of the load, the fields of the elements (or `value`), _quern_file; _quern_id where the elements hold lists again.
/// `columns` are those of the table. Errors: kContract, those of the warehouse.
Result<void> LoadChildren(const TableConfig& config, warehouse::Warehouse& warehouse, warehouse::Session& session,
                          const Source& source, const LoadGroup& group, const std::vector<OutputColumn>& columns,
                          const LoadOptions& options, bool anew, LoadReport& report);

}  // namespace quern::ingest
