#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/batch.h"

namespace quern::engine {

/// A column of a result. `type` is the engine's own type text ("BIGINT", "DECIMAL(18,2)", "STRUCT(a
/// INTEGER)").
struct Column {
  std::string name;
  std::string type;
};

/// One value of a result or a parameter. Numbers that fit are int64_t or double, truth values bool;
/// everything else (decimals, dates, times, nested values as JSON, blobs as hexadecimal \x..) is text, as the
/// engine prints it.
using Value = std::variant<std::monostate, bool, int64_t, double, std::string>;

inline bool IsNull(const Value& value) {
  return std::holds_alternative<std::monostate>(value);
}
/// "" for null; text as it is; numbers in their shortest form that reads back equal.
std::string ToText(const Value& value);

/// A result held in memory: columns x rows.
struct QueryResult {
  std::vector<Column> columns;
  std::vector<std::vector<Value>> rows;
  /// Rows that an INSERT, UPDATE, DELETE, MERGE, CREATE TABLE AS or COPY changed or wrote; -1 for other
  /// statements.
  int64_t rows_changed = -1;
  /// max_rows cut the result.
  bool truncated = false;
};

struct ExecuteOptions {
  std::vector<Value> params{};  ///< for $1, $2, ... or ?; only with a single statement
  int64_t max_rows = -1;        ///< of the result kept in memory; -1: all
};

/// Receives a result batch by batch, so that results larger than memory can pass.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Result<void> Begin(const std::vector<Column>& columns) = 0;
  virtual Result<void> Row(const std::vector<Value>& row) = 0;
};

/// A session with a SQL engine: statements run one at a time, in order; transactions by
/// BEGIN/COMMIT/ROLLBACK. Not thread-safe, but for Interrupt(). Errors: kSqlSyntax, kSqlBind (both with line
/// and column in the SQL text, file left empty), kSqlExecution, kOutOfMemory, kNoSpace, kCommitConflict,
/// kCancelled, kTableNotFound.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Runs all statements of `sql` and gives the last one's result. Stops at the first error.
  virtual Result<QueryResult> Execute(std::string_view sql, const ExecuteOptions& options) = 0;
  Result<QueryResult> Execute(std::string_view sql) { return Execute(sql, {}); }
  /// Runs one query and hands its rows on as they come.
  virtual Result<void> Stream(std::string_view sql, RowSink& sink) = 0;
  /// The same, column by column: for many rows.
  virtual Result<void> StreamBatches(std::string_view sql, BatchSink& sink) = 0;
  /// Makes a function known to SQL, for every connection of the database and as long as it lives. `function.call` must
  /// live as long; give each model a name of its own.
  virtual Result<void> CreateFunction(ScalarFunction function) = 0;
  /// Columns that a query would give, without running it.
  virtual Result<std::vector<Column>> Describe(std::string_view query) = 0;
  /// Makes the running statement end soon with kCancelled. Callable from any thread.
  virtual void Interrupt() = 0;
};

}  // namespace quern::engine
