#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "ingest/config.h"
#include "ingest/planner.h"
#include "warehouse/warehouse.h"

namespace quern::ingest {

struct LoadOptions {
  std::filesystem::path project;  ///< absolute
  std::filesystem::path temp;     ///< folder for copies of broken files
  Timestamp until;                ///< files with a later logical time are not due
  Timestamp now;
  int64_t logical_ms = 0;  ///< the run's logical date
  std::string effect_app;  ///< txn that records the whole load; "" for none
  int64_t effect_version = 0;
  warehouse::CommitContext commit;  ///< without txns
  bool full_refresh = false;
  int threads = 2;
  Cancellation cancellation;
  std::function<void(std::string_view)> log;
  /// For tests: called at "quarantine", "children", "commit" (before) and "committed"; an error ends the load there as
  /// a killed process would.
  std::function<Result<void>(std::string_view step)> fault;
};

struct FileReport {
  std::string path;
  int64_t rows = 0;
  int64_t discarded = 0;
};

struct LoadReport {
  enum class Status { kLoaded, kNothingNew, kRecorded };
  Status status = Status::kNothingNew;
  int64_t rows = 0;       ///< rows that arrived and were taken
  int64_t discarded = 0;  ///< rows that went to the quarantine
  std::vector<FileReport> files;
  std::vector<std::string> warnings;
  std::vector<std::string> notes;
  std::vector<warehouse::Commit> commits;
  std::string message;
};

/// Brings the due files of one table into the warehouse, each exactly once. Every group of files is one commit of the
/// table that holds the rows and the memory of the files; a process that dies leaves either all of it or nothing.
/// Errors: kBadRow, kContract, kRowCount with the file's place; kCorrupt, kIo, kPermissionDenied, kNoSpace; the
/// warehouse's.
Result<LoadReport> LoadTable(const TableConfig& config, warehouse::Warehouse& warehouse, const LoadOptions& options);

std::string QuarantineName(const TableConfig& config);

}  // namespace quern::ingest
