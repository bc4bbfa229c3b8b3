#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "engine/connection.h"

namespace quern::warehouse {

/// A table's name inside the warehouse. Compared without case, printed as given.
struct TableName {
  std::string schema;
  std::string table;
  std::string ToString() const { return schema + "." + table; }
};

/// Who writes: goes into commitInfo of every commit of a session (keys quernDagRun, quernNode,
/// quernLogicalDate, gitCommit), and the txn actions make an effect recognisable, so that a retry finds what
/// is done.
struct CommitContext {
  std::string dag_run;     ///< "monthly/2013-05-01", "" outside a run
  std::string node;        ///< "model.flights.fct_flights"
  std::string git_commit;  ///< of the project's checkout, "-dirty" appended when it has changes; "" when unknown
  std::optional<Timestamp> logical_date;
  /// Delta `txn` actions (appId, version) that are committed with the next commit of the named table, once.
  struct Txn {
    TableName table;
    std::string app_id;
    int64_t version = 0;
  };
  std::vector<Txn> txns;
  Json extra = Json::object();  ///< further keys of commitInfo
};

/// What a context adds to commitInfo.
Json CommitKeys(const CommitContext& context);

/// One commit made by a session.
struct Commit {
  TableName table;
  int64_t version = 0;
  std::string operation;      ///< as in commitInfo: "WRITE", "MERGE", "CREATE OR REPLACE TABLE AS SELECT", ...
  int64_t rows_inserted = 0;  ///< rows in added files beyond those rewritten
  int64_t rows_updated = 0;
  int64_t rows_deleted = 0;
};

/// One line of a table's history, newest first.
struct HistoryEntry {
  int64_t version = 0;
  Timestamp timestamp;
  std::string operation;
  Json operation_parameters;
  Json operation_metrics;
  Json commit_info;  ///< the whole action
};

struct TableInfo {
  TableName name;
  std::string location;  ///< absolute path or URL
  std::string id;
  int64_t version = 0;
  std::vector<engine::Column> columns;  ///< types as SQL
  std::vector<bool> nullable;           ///< one per column
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> properties;
  int min_reader_version = 0;
  int min_writer_version = 0;
  std::vector<std::string> features;  ///< reader and writer features, sorted
  int64_t files = 0;
  int64_t bytes = 0;
  std::optional<int64_t> rows;  ///< from statistics, when every file has them
  std::optional<Timestamp> created;
  std::optional<Timestamp> modified;
};

/// What a query read. Names are "schema.table", as spelt in the warehouse.
struct Reads {
  std::map<std::string, int64_t> tables;     ///< with the versions that were seen
  std::map<std::string, std::string> views;  ///< with their definitions
};

/// A connection whose SQL sees the warehouse as its default catalog ("schema.table" works), with a commit
/// context. Not thread-safe; one per task.
class Session : public engine::Connection {
 public:
  virtual void SetContext(CommitContext context) = 0;
  /// Commits made since the last call, in order.
  virtual std::vector<Commit> TakeCommits() = 0;
  /// Commits the context's txns that no statement has taken along yet, each by a commit of its table that
  /// changes nothing else. A statement that writes to the table takes them along even when it changes no row;
  /// a mere SELECT does not, so a task that finds nothing to do ends with this. Not inside BEGIN ... COMMIT.
  /// Errors: kTableNotFound, kCommitConflict.
  virtual Result<void> CommitTxns() = 0;
  /// What statements have read since the last call, through views too, also where no row had to be looked at.
  virtual Reads TakeReads() = 0;
  /// From the next statement on, these tables ("schema.table", compared without case) are read as they stood at these
  /// versions, through views too, and cannot be written. An empty map ends it. A version that is not there is an error
  /// of the statement (kVersionNotFound). Not inside BEGIN ... COMMIT.
  virtual void PinVersions(std::map<std::string, int64_t> versions) = 0;
};

struct Options {
  std::filesystem::path root{};            ///< folder of the warehouse: <root>/<schema>/<table>/_delta_log
  std::string catalog = "warehouse";       ///< its name in SQL (the dbt `database`)
  int threads = 0;                         ///< 0: as many as cores
  std::string memory_limit{};              ///< "800MB"; "" leaves the engine's default
  std::filesystem::path temp_directory{};  ///< where the engine spills; empty: <root>/.tmp
  bool read_only = false;
  const Clock* clock = nullptr;  ///< of commits; null: the system's
};

/// The Delta warehouse: databases (schemas), tables and views under one root, on the embedded engine.
/// Thread-safe. Errors name the table; kUnsupportedFeature names the Delta feature; kCorruptLog names file
/// and line.
class Warehouse {
 public:
  static Result<std::unique_ptr<Warehouse>> Open(const Options& options);
  virtual ~Warehouse() = default;

  virtual Result<std::unique_ptr<Session>> NewSession() = 0;
  virtual const Options& options() const = 0;

  /// Schemas and tables in name order, from the storage listing; views have kind kView.
  enum class Kind { kTable, kView };
  struct Listed {
    TableName name;
    Kind kind = Kind::kTable;
  };
  virtual Result<std::vector<Listed>> List() = 0;
  virtual Result<bool> Exists(const TableName& name) = 0;
  virtual Result<TableInfo> Describe(const TableName& name, std::optional<int64_t> version = {}) = 0;
  /// `limit` newest entries; -1: all.
  virtual Result<std::vector<HistoryEntry>> History(const TableName& name, int64_t limit) = 0;
  /// Last committed `txn` version of an application, or nothing. A table that does not exist has none (not an
  /// error).
  virtual Result<std::optional<int64_t>> TxnVersion(const TableName& name, const std::string& app_id) = 0;
  /// Whether the table's history has a commit of this run and node (CommitContext). A table that does not exist has
  /// none (not an error).
  virtual Result<bool> HasCommitOf(const TableName& name, const std::string& dag_run, const std::string& node) = 0;
  /// All txn entries whose appId begins with `prefix`.
  virtual Result<std::map<std::string, int64_t>> Txns(const TableName& name, const std::string& prefix) = 0;
  /// Makes the table's content, schema and txn records those of `version` again, by one new commit (operation
  /// RESTORE). An application recorded only since then gets a txn of version -1, which TxnVersion and Txns
  /// answer as never recorded: so what was undone is done again, once. Gives the new version.
  virtual Result<int64_t> Restore(const TableName& name, int64_t version, const CommitContext& context) = 0;
  /// Latest version at or before a moment (by in-commit or commit-file timestamp). kVersionNotFound when
  /// before the first.
  virtual Result<int64_t> VersionAt(const TableName& name, Timestamp at) = 0;
};

}  // namespace quern::warehouse
