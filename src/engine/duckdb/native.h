#pragma once
// What an extension of the engine needs in DuckDB's own terms. DuckDB's headers cost seconds per file:
// include this in few.
#include <atomic>
#include <duckdb.hpp>
#include <duckdb/main/client_context_state.hpp>
#include <memory>

#include "base/result.h"
#include "engine/connection.h"

namespace quern::engine {

/// An Error for a failure that DuckDB reports; `sql` gives the line and column.
Error FromDuckDb(const ::duckdb::ErrorData& error, std::string_view sql);

/// Throws a DuckDB exception that FromDuckDb() turns into the same Error again.
[[noreturn]] void ThrowToDuckDb(const Error& error);

/// Lets an Error pass a commit, where DuckDB keeps the text of a failure only. One per client context.
class PendingError : public ::duckdb::ClientContextState {
 public:
  static PendingError& Of(::duckdb::ClientContext& context);
  void Set(Error error);
  /// The kept error, when `message` is the report of it; forgets it in any case.
  std::optional<Error> TakeIfIn(std::string_view message);

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
};

/// engine::Connection on a DuckDB connection.
class DuckConnection : public Connection {
 public:
  explicit DuckConnection(::duckdb::DuckDB& db);
  ~DuckConnection() override;

  using Connection::Execute;
  Result<QueryResult> Execute(std::string_view sql, const ExecuteOptions& options) override;
  Result<void> Stream(std::string_view sql, RowSink& sink) override;
  Result<void> StreamBatches(std::string_view sql, BatchSink& sink) override;
  Result<void> CreateFunction(ScalarFunction function) override;
  Result<std::vector<Column>> Describe(std::string_view query) override;
  void Interrupt() override;

  ::duckdb::Connection& native() { return *connection_; }
  ::duckdb::ClientContext& context() { return *connection_->context; }

 private:
  using Statement = ::duckdb::unique_ptr<::duckdb::SQLStatement>;
  Result<std::vector<Statement>> Parse(std::string_view sql);
  /// Starts one statement; rows come as they are fetched from the result.
  Result<::duckdb::unique_ptr<::duckdb::QueryResult>> Start(Statement statement, std::string_view sql,
                                                            const ExecuteOptions& options);
  Error Map(const ::duckdb::ErrorData& error, std::string_view sql);

  std::unique_ptr<::duckdb::Connection> connection_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace quern::engine
