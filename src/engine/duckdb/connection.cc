#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text.h"
#include "engine/duckdb/native.h"

namespace quern::engine {

namespace {

using ::duckdb::ClientContext;
using ::duckdb::DataChunk;
using ::duckdb::ErrorData;
using ::duckdb::idx_t;
using ::duckdb::LogicalType;
using ::duckdb::LogicalTypeId;
using ::duckdb::UnifiedVectorFormat;
using ::duckdb::Vector;

std::vector<Column> ColumnsOf(const ::duckdb::vector<std::string>& names, const ::duckdb::vector<LogicalType>& types) {
  std::vector<Column> columns;
  columns.reserve(names.size());
  for (size_t i = 0; i < names.size(); i++) columns.push_back({names[i], types[i].ToString()});
  return columns;
}

template <class T, class Make>
void Fill(Vector& vector, idx_t count, std::vector<std::vector<Value>>& rows, size_t column, Make make) {
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  const T* data = UnifiedVectorFormat::GetData<T>(format);
  for (idx_t i = 0; i < count; i++) {
    const idx_t at = format.sel->get_index(i);
    rows[i][column] = format.validity.RowIsValid(at) ? make(data[at]) : Value();
  }
}

template <class T>
void FillIntegers(Vector& vector, idx_t count, std::vector<std::vector<Value>>& rows, size_t column) {
  Fill<T>(vector, count, rows, column, [](T value) { return Value(static_cast<int64_t>(value)); });
}

bool IsNested(LogicalTypeId id) {
  return id == LogicalTypeId::STRUCT || id == LogicalTypeId::LIST || id == LogicalTypeId::MAP ||
         id == LogicalTypeId::ARRAY || id == LogicalTypeId::UNION;
}

// Everything without a type of ours: text as the engine prints it, nested values as JSON.
void FillText(ClientContext& context, Vector& vector, idx_t count, std::vector<std::vector<Value>>& rows,
              size_t column) {
  auto text = [](const ::duckdb::string_t& value) { return Value(value.GetString()); };
  if (vector.GetType().InternalType() == ::duckdb::PhysicalType::VARCHAR &&
      vector.GetType().id() == LogicalTypeId::VARCHAR) {
    return Fill<::duckdb::string_t>(vector, count, rows, column, text);
  }
  Vector printed(IsNested(vector.GetType().id()) ? LogicalType::JSON() : LogicalType::VARCHAR);
  ::duckdb::VectorOperations::Cast(context, vector, printed, count);
  Fill<::duckdb::string_t>(printed, count, rows, column, text);
}

void FillColumn(ClientContext& context, Vector& vector, idx_t count, std::vector<std::vector<Value>>& rows,
                size_t column) {
  switch (vector.GetType().id()) {
    case LogicalTypeId::BOOLEAN:
      return Fill<bool>(vector, count, rows, column, [](bool value) { return Value(value); });
    case LogicalTypeId::TINYINT:
      return FillIntegers<int8_t>(vector, count, rows, column);
    case LogicalTypeId::SMALLINT:
      return FillIntegers<int16_t>(vector, count, rows, column);
    case LogicalTypeId::INTEGER:
      return FillIntegers<int32_t>(vector, count, rows, column);
    case LogicalTypeId::BIGINT:
      return FillIntegers<int64_t>(vector, count, rows, column);
    case LogicalTypeId::UTINYINT:
      return FillIntegers<uint8_t>(vector, count, rows, column);
    case LogicalTypeId::USMALLINT:
      return FillIntegers<uint16_t>(vector, count, rows, column);
    case LogicalTypeId::UINTEGER:
      return FillIntegers<uint32_t>(vector, count, rows, column);
    case LogicalTypeId::UBIGINT:
      return Fill<uint64_t>(vector, count, rows, column, [](uint64_t value) {
        return value <= static_cast<uint64_t>(INT64_MAX) ? Value(static_cast<int64_t>(value))
                                                         : Value(std::to_string(value));
      });
    case LogicalTypeId::HUGEINT:
      return Fill<::duckdb::hugeint_t>(vector, count, rows, column, [](::duckdb::hugeint_t value) {
        int64_t small = 0;
        return ::duckdb::Hugeint::TryCast(value, small) ? Value(small) : Value(::duckdb::Hugeint::ToString(value));
      });
    case LogicalTypeId::FLOAT:  // by its shortest text, so that 0.1 stays 0.1
      return Fill<float>(vector, count, rows, column, [](float value) {
        return std::isfinite(value) ? Value(std::strtod(fmt::format("{}", value).c_str(), nullptr))
                                    : Value(static_cast<double>(value));
      });
    case LogicalTypeId::DOUBLE:
      return Fill<double>(vector, count, rows, column, [](double value) { return Value(value); });
    default:
      return FillText(context, vector, count, rows, column);
  }
}

std::vector<std::vector<Value>> RowsOf(ClientContext& context, DataChunk& chunk) {
  std::vector<std::vector<Value>> rows(chunk.size(), std::vector<Value>(chunk.ColumnCount()));
  for (size_t column = 0; column < chunk.ColumnCount(); column++) {
    FillColumn(context, chunk.data[column], chunk.size(), rows, column);
  }
  return rows;
}

::duckdb::Value ToDuckDb(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return ::duckdb::Value::BOOLEAN(*flag);
  if (const auto* number = std::get_if<int64_t>(&value)) return ::duckdb::Value::BIGINT(*number);
  if (const auto* number = std::get_if<double>(&value)) return ::duckdb::Value::DOUBLE(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return ::duckdb::Value(*text);
  return ::duckdb::Value();
}

// Takes part in a query's work until its result is ready. DuckDB's own Execute() would ask again and again while the
// rest of the work is with other threads, and take a core from them.
void Work(::duckdb::PendingQueryResult& pending) {
  using ::duckdb::PendingExecutionResult;
  constexpr int kAsksInVain = 50;
  constexpr auto kLongestWait = std::chrono::microseconds(1000);
  auto wait = std::chrono::microseconds(20);
  for (int in_vain = 0;;) {
    const auto state = pending.ExecuteTask();
    if (::duckdb::PendingQueryResult::IsResultReady(state)) return;
    if (state == PendingExecutionResult::BLOCKED) {
      pending.WaitForTask();
    } else if (state != PendingExecutionResult::NO_TASKS_AVAILABLE) {
      in_vain = 0;
      wait = std::chrono::microseconds(20);
    } else if (++in_vain > kAsksInVain) {
      std::this_thread::sleep_for(wait);
      wait = std::min(wait * 2, kLongestWait);
    }
  }
}

}  // namespace

DuckConnection::DuckConnection(::duckdb::DuckDB& db) : connection_(std::make_unique<::duckdb::Connection>(db)) {
  // The position of an error survives only in this form.
  auto result = connection_->Query("SET errors_as_json = true");
  if (result->HasError()) result->ThrowError();
}

DuckConnection::~DuckConnection() = default;

Error DuckConnection::Map(const ErrorData& error, std::string_view sql) {
  Error mapped = FromDuckDb(error, sql);
  if (auto kept = PendingError::Of(context()).TakeIfIn(mapped.message())) return *std::move(kept);
  if (interrupted_ && mapped.code() == ErrorCode::kSqlExecution) return Error(ErrorCode::kCancelled, mapped.message());
  return mapped;
}

Result<std::vector<DuckConnection::Statement>> DuckConnection::Parse(std::string_view sql) {
  try {
    auto parsed = connection_->ExtractStatements(std::string(sql));
    std::vector<Statement> statements;
    for (auto& statement : parsed) statements.push_back(std::move(statement));
    return statements;
  } catch (const std::exception& e) {
    return Fail(Map(ErrorData(e), sql));
  }
}

Result<::duckdb::unique_ptr<::duckdb::QueryResult>> DuckConnection::Start(Statement statement, std::string_view sql,
                                                                          const ExecuteOptions& options) {
  ::duckdb::case_insensitive_map_t<::duckdb::BoundParameterData> values;
  for (size_t i = 0; i < options.params.size(); i++) {
    values[std::to_string(i + 1)] = ::duckdb::BoundParameterData(ToDuckDb(options.params[i]));
  }
  auto pending = context().PendingQuery(std::move(statement), values, ::duckdb::QueryParameters(true));
  if (pending->HasError()) return Fail(Map(pending->GetErrorObject(), sql));
  // DuckDB forgets an interrupt when a statement starts; ours is kept until here.
  if (interrupted_) context().Interrupt();
  Work(*pending);
  if (pending->HasError()) return Fail(Map(pending->GetErrorObject(), sql));
  auto result = pending->Execute();
  if (result->HasError()) return Fail(Map(result->GetErrorObject(), sql));
  return result;
}

Result<QueryResult> DuckConnection::Execute(std::string_view sql, const ExecuteOptions& options) {
  interrupted_ = false;
  auto statements = QUERN_TRY(Parse(sql));
  if (!options.params.empty() && statements.size() != 1) {
    return Fail(ErrorCode::kInvalidArgument, "parameters are for a single statement");
  }
  QueryResult answer;
  for (auto& statement : statements) {
    if (interrupted_) return Fail(ErrorCode::kCancelled, "interrupted");
    answer = QueryResult();
    try {
      auto result = QUERN_TRY(Start(std::move(statement), sql, options));
      const auto kind = result->properties.return_type;
      if (kind == ::duckdb::StatementReturnType::QUERY_RESULT) answer.columns = ColumnsOf(result->names, result->types);
      // CREATE TABLE AS calls itself one that returns nothing, and returns a count.
      const bool counts = kind == ::duckdb::StatementReturnType::CHANGED_ROWS ||
                          (result->statement_type == ::duckdb::StatementType::CREATE_STATEMENT &&
                           result->ColumnCount() == 1 && result->types[0].id() == LogicalTypeId::BIGINT);
      bool first = true;
      while (!answer.truncated) {
        auto chunk = result->Fetch();
        if (result->HasError()) return Fail(Map(result->GetErrorObject(), sql));
        if (!chunk || chunk->size() == 0) break;
        if (counts) {
          if (first) answer.rows_changed = chunk->GetValue(0, 0).GetValue<int64_t>();
        } else if (kind == ::duckdb::StatementReturnType::QUERY_RESULT) {
          auto rows = RowsOf(context(), *chunk);
          for (auto& row : rows) {
            if (options.max_rows >= 0 && answer.rows.size() >= static_cast<size_t>(options.max_rows)) {
              answer.truncated = true;
              break;
            }
            answer.rows.push_back(std::move(row));
          }
        }
        first = false;
      }
      result.reset();
    } catch (const std::exception& e) {
      return Fail(Map(ErrorData(e), sql));
    }
  }
  return answer;
}

Result<void> DuckConnection::Stream(std::string_view sql, RowSink& sink) {
  interrupted_ = false;
  auto statements = QUERN_TRY(Parse(sql));
  if (statements.size() != 1) return Fail(ErrorCode::kInvalidArgument, "a stream takes one query");
  try {
    auto result = QUERN_TRY(Start(std::move(statements[0]), sql, {}));
    QUERN_TRY(sink.Begin(ColumnsOf(result->names, result->types)));
    for (;;) {
      auto chunk = result->Fetch();
      if (result->HasError()) return Fail(Map(result->GetErrorObject(), sql));
      if (!chunk || chunk->size() == 0) return {};
      for (const auto& row : RowsOf(context(), *chunk)) QUERN_TRY(sink.Row(row));
      if (interrupted_) return Fail(ErrorCode::kCancelled, "interrupted");
    }
  } catch (const std::exception& e) {
    return Fail(Map(ErrorData(e), sql));
  }
}

Result<std::vector<Column>> DuckConnection::Describe(std::string_view query) {
  auto statements = QUERN_TRY(Parse(query));
  if (statements.size() != 1) return Fail(ErrorCode::kInvalidArgument, "one query is described at a time");
  try {
    auto prepared = context().Prepare(std::move(statements[0]));
    if (prepared->HasError()) return Fail(Map(prepared->GetErrorObject(), query));
    if (prepared->GetStatementProperties().return_type != ::duckdb::StatementReturnType::QUERY_RESULT) {
      return std::vector<Column>();
    }
    return ColumnsOf(prepared->GetNames(), prepared->GetTypes());
  } catch (const std::exception& e) {
    return Fail(Map(ErrorData(e), query));
  }
}

void DuckConnection::Interrupt() {
  interrupted_ = true;
  context().Interrupt();
}

}  // namespace quern::engine
