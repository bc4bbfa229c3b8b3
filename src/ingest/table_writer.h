#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/connection.h"
#include "ingest/planner.h"
#include "ingest/write_sql.h"

namespace quern::ingest {

/// Applies the rows of one group of files to their table, in the mode of the load: Stage() before the transaction,
/// Apply() and RowsByFile() inside. What it writes is one commit together with the schema changes that it needs.
class TableWriter {
 public:
  /// `existing` are all columns of the table, Quern's own included; none when it is made anew.
  TableWriter(const TableConfig& config, engine::Connection& connection, std::string table, const Source& source,
              const SchemaPlan& plan, const RowsSql& rows, const LoadGroup& group, bool anew,
              std::vector<TableColumn> existing);

  /// Brings the rows into a temporary table, when the mode needs them more than once.
  Result<void> Stage();
  Result<void> Apply();
  Result<std::map<std::string, int64_t>> RowsByFile();

  static constexpr const char* kStage = "quern_stage";  ///< the rows, in the order of the files; quern_f in the end

 private:
  bool staged() const;
  Result<void> Run(const std::string& sql);
  Result<void> PrepareTable();
  Result<void> Insert();
  Result<void> Merge();
  Result<void> DeleteInsert();
  Result<void> History();
  /// The rows of the stage, the last of each key.
  std::string LastOfEachKey() const;

  const TableConfig& config_;
  engine::Connection& connection_;
  std::string table_;
  const Source& source_;
  const SchemaPlan& plan_;
  const RowsSql& rows_;
  const LoadGroup& group_;
  bool anew_;
  std::vector<TableColumn> existing_;
  std::vector<OutputColumn> output_;
  int64_t inserted_ = 0;
};

}  // namespace quern::ingest
