#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "script/config.h"
#include "warehouse/warehouse.h"

namespace quern::script {

/// The files that a script left for one table.
struct TableOutput {
  const ScriptWrite* write = nullptr;
  std::string format;                        ///< parquet or jsonl; "" when there is no file
  std::vector<std::filesystem::path> files;  ///< sorted; empty files of JSON lines are left out
};

/// What lies in $QUERN_OUT, one for each declared table. Files may lie in <schema>.<table>/, or in <table>/ when only
/// one declared table is called so. Names that begin with '.' or '_' are left out. Errors: kScriptOutput for a file
/// beside the folders, an undeclared table, a file of another kind, both kinds in one folder.
Result<std::vector<TableOutput>> FindOutputs(const std::filesystem::path& out, const std::vector<ScriptWrite>& writes);

/// Reads every row of an output once, so that a malformed file is known before anything is committed.
/// Errors: kScriptOutput naming the file.
Result<void> CheckOutput(const TableOutput& output, const std::filesystem::path& out, warehouse::Session& session);

/// Commits an output to its table with the session's context (the txn goes along). `full_refresh` replaces. Gives the
/// rows written. Errors: kScriptOutput with the table's name: columns that do not fit, nothing written to a table that
/// is to be replaced.
Result<int64_t> CommitOutput(const TableOutput& output, bool exists, bool full_refresh, warehouse::Session& session);

}  // namespace quern::script
