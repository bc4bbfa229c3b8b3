#include <cmath>
#include <duckdb/catalog/catalog.hpp>
#include <duckdb/execution/expression_executor_state.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <span>

#include "base/text.h"
#include "engine/duckdb/native.h"

namespace quern::engine {
namespace {

using ::duckdb::DataChunk;
using ::duckdb::idx_t;
using ::duckdb::LogicalType;
using ::duckdb::LogicalTypeId;
using ::duckdb::UnifiedVectorFormat;
using ::duckdb::Vector;

BatchType TypeFor(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return BatchType::kBool;
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
      return BatchType::kInteger;
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
      return BatchType::kDouble;
    default:
      return BatchType::kText;
  }
}

LogicalType TypeOf(BatchType type) {
  switch (type) {
    case BatchType::kBool:
      return LogicalType::BOOLEAN;
    case BatchType::kInteger:
      return LogicalType::BIGINT;
    case BatchType::kDouble:
      return LogicalType::DOUBLE;
    case BatchType::kText:
      break;
  }
  return LogicalType::VARCHAR;
}

bool IsNested(LogicalTypeId id) {
  return id == LogicalTypeId::STRUCT || id == LogicalTypeId::LIST || id == LogicalTypeId::MAP ||
         id == LogicalTypeId::ARRAY || id == LogicalTypeId::UNION;
}

// Plain arrays for one column, kept from batch to batch so that they are allocated once.
class ColumnBuffer {
 public:
  BatchColumn Read(::duckdb::ClientContext& context, Vector& vector, idx_t count) {
    const auto& type = vector.GetType();
    BatchColumn out;
    out.type = TypeFor(type);
    switch (type.id()) {
      case LogicalTypeId::BOOLEAN:
        out.bools = Copy<bool>(vector, count, bools_);
        break;
      case LogicalTypeId::TINYINT:
        out.integers = Copy<int8_t>(vector, count, integers_);
        break;
      case LogicalTypeId::SMALLINT:
        out.integers = Copy<int16_t>(vector, count, integers_);
        break;
      case LogicalTypeId::INTEGER:
        out.integers = Copy<int32_t>(vector, count, integers_);
        break;
      case LogicalTypeId::BIGINT:
        out.integers = Copy<int64_t>(vector, count, integers_);
        break;
      case LogicalTypeId::UTINYINT:
        out.integers = Copy<uint8_t>(vector, count, integers_);
        break;
      case LogicalTypeId::USMALLINT:
        out.integers = Copy<uint16_t>(vector, count, integers_);
        break;
      case LogicalTypeId::UINTEGER:
        out.integers = Copy<uint32_t>(vector, count, integers_);
        break;
      case LogicalTypeId::FLOAT:
        out.doubles = Copy<float>(vector, count, doubles_);
        break;
      case LogicalTypeId::DOUBLE:
        out.doubles = Copy<double>(vector, count, doubles_);
        break;
      case LogicalTypeId::VARCHAR:
        out.texts = CopyTexts(vector, count);
        break;
      default: {
        printed_ = std::make_unique<Vector>(IsNested(type.id()) ? LogicalType::JSON() : LogicalType::VARCHAR);
        ::duckdb::VectorOperations::Cast(context, vector, *printed_, count);
        out.texts = CopyTexts(*printed_, count);
      }
    }
    out.valid = has_nulls_ ? valid_.data() : nullptr;
    return out;
  }

 private:
  template <class From, class To>
  const To* Copy(Vector& vector, idx_t count, std::vector<To>& values) {
    Format(vector, count);
    const From* data = UnifiedVectorFormat::GetData<From>(format_);
    values.resize(count);
    for (idx_t i = 0; i < count; i++) values[i] = static_cast<To>(data[format_.sel->get_index(i)]);
    return values.data();
  }
  const std::string_view* CopyTexts(Vector& vector, idx_t count) {
    Format(vector, count);
    const auto* data = UnifiedVectorFormat::GetData<::duckdb::string_t>(format_);
    texts_.assign(count, {});
    for (idx_t i = 0; i < count; i++) {
      if (has_nulls_ && !valid_[i]) continue;
      const auto& text = data[format_.sel->get_index(i)];
      texts_[i] = {text.GetData(), text.GetSize()};
    }
    return texts_.data();
  }
  void Format(Vector& vector, idx_t count) {
    vector.ToUnifiedFormat(count, format_);
    has_nulls_ = !format_.validity.AllValid();
    if (!has_nulls_) return;
    valid_.resize(count);
    for (idx_t i = 0; i < count; i++) valid_[i] = format_.validity.RowIsValid(format_.sel->get_index(i)) ? 1 : 0;
  }

  UnifiedVectorFormat format_;
  bool has_nulls_ = false;
  std::vector<uint8_t> valid_;
  std::vector<uint8_t> bools_;
  std::vector<int64_t> integers_;
  std::vector<double> doubles_;
  std::vector<std::string_view> texts_;
  std::unique_ptr<Vector> printed_;
};

// Turns chunks into batches.
class BatchReader {
 public:
  Batch Read(::duckdb::ClientContext& context, DataChunk& chunk) {
    buffers_.resize(chunk.ColumnCount());
    Batch batch;
    batch.rows = chunk.size();
    for (size_t i = 0; i < buffers_.size(); i++) {
      batch.columns.push_back(buffers_[i].Read(context, chunk.data[i], chunk.size()));
    }
    return batch;
  }

 private:
  std::vector<ColumnBuffer> buffers_;
};

}  // namespace

Result<void> DuckConnection::StreamBatches(std::string_view sql, BatchSink& sink) {
  interrupted_ = false;
  auto statements = QUERN_TRY(Parse(sql));
  if (statements.size() != 1) return Fail(ErrorCode::kInvalidArgument, "a stream takes one query");
  try {
    auto result = QUERN_TRY(Start(std::move(statements[0]), sql, {}));
    std::vector<Column> columns;
    std::vector<BatchType> types;
    for (size_t i = 0; i < result->names.size(); i++) {
      columns.push_back({result->names[i], result->types[i].ToString()});
      types.push_back(TypeFor(result->types[i]));
    }
    QUERN_TRY(sink.Begin(columns, types));
    BatchReader reader;
    for (;;) {
      auto chunk = result->Fetch();
      if (result->HasError()) return Fail(Map(result->GetErrorObject(), sql));
      if (!chunk || chunk->size() == 0) return {};
      QUERN_TRY(sink.Add(reader.Read(context(), *chunk)));
      if (interrupted_) return Fail(ErrorCode::kCancelled, "interrupted");
    }
  } catch (const std::exception& e) {
    return Fail(Map(::duckdb::ErrorData(e), sql));
  }
}

Result<void> DuckConnection::CreateFunction(ScalarFunction function) {
  ::duckdb::vector<LogicalType> arguments;
  for (auto type : function.arguments) arguments.push_back(TypeOf(type));
  const size_t outputs = function.outputs;
  auto run = [outputs, call = std::move(function.call)](DataChunk& chunk, ::duckdb::ExpressionState& state,
                                                        Vector& result) {
    const idx_t count = chunk.size();
    result.SetVectorType(::duckdb::VectorType::FLAT_VECTOR);
    auto& values = ::duckdb::ArrayVector::GetEntry(result);
    values.SetVectorType(::duckdb::VectorType::FLAT_VECTOR);
    double* out = ::duckdb::FlatVector::GetData<double>(values);
    if (count > 0) {
      BatchReader reader;
      if (auto done = call(reader.Read(state.GetContext(), chunk), out); !done) ThrowToDuckDb(done.error());
    }
  };
  ::duckdb::ScalarFunction made(function.name, arguments, LogicalType::ARRAY(LogicalType::DOUBLE, outputs),
                                std::move(run));
  made.null_handling = ::duckdb::FunctionNullHandling::SPECIAL_HANDLING;
  made.stability = ::duckdb::FunctionStability::CONSISTENT;
  ::duckdb::CreateScalarFunctionInfo info(std::move(made));
  info.on_conflict = ::duckdb::OnCreateConflict::REPLACE_ON_CONFLICT;
  info.internal = true;
  try {
    context().RunFunctionInTransaction(
        [&] { ::duckdb::Catalog::GetSystemCatalog(context()).CreateFunction(context(), info); });
  } catch (const std::exception& e) {
    return Fail(Map(::duckdb::ErrorData(e), function.name));
  }
  return {};
}

}  // namespace quern::engine
