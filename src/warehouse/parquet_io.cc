#include "warehouse/parquet_io.h"

#include <duckdb/main/appender.hpp>
#include <filesystem>

#include "base/ids.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/duckdb/native.h"
#include "io/files.h"

namespace quern::warehouse {

namespace {

namespace duck = ::duckdb;
using delta::Batch;
using delta::ColumnData;
using delta::ColumnSpec;
using delta::ColumnType;

Error Named(Error error, const std::string& location) {
  if (error.message().find(location) == std::string::npos) return std::move(error).Context(location);
  return error;
}

Error FromDuck(const duck::ErrorData& data, const std::string& location) {
  Error error = engine::FromDuckDb(data, "");
  // What a broken Parquet file makes DuckDB say has many forms.
  if (error.code() == ErrorCode::kSqlExecution || error.code() == ErrorCode::kSqlBind ||
      error.code() == ErrorCode::kIo) {
    std::error_code ignored;
    if (!std::filesystem::exists(location, ignored)) return Error(ErrorCode::kNotFound, location + " is not there");
    if (error.code() != ErrorCode::kIo || error.message().find("Parquet") != std::string::npos ||
        error.message().find("magic") != std::string::npos) {
      return Named(Error(ErrorCode::kCorrupt, error.message()), location);
    }
  }
  return Named(std::move(error), location);
}

// The type at a path of struct fields, null when the file has none there.
const duck::LogicalType* Find(const std::vector<std::pair<std::string, duck::LogicalType>>& columns,
                              const std::vector<std::string>& path) {
  const duck::LogicalType* type = nullptr;
  for (const auto& [name, column] : columns) {
    if (name == path[0]) type = &column;
  }
  for (size_t i = 1; type && i < path.size(); i++) {
    if (type->id() != duck::LogicalTypeId::STRUCT) return nullptr;
    const duck::LogicalType* next = nullptr;
    for (const auto& [name, child] : duck::StructType::GetChildTypes(*type)) {
      if (name == path[i]) next = &child;
    }
    type = next;
  }
  return type;
}

Json ToJson(const duck::Value& value) {
  if (value.IsNull()) return nullptr;
  switch (value.type().id()) {
    case duck::LogicalTypeId::STRUCT: {
      Json object = Json::object();
      const auto& names = duck::StructType::GetChildTypes(value.type());
      const auto& children = duck::StructValue::GetChildren(value);
      for (size_t i = 0; i < children.size(); i++) {
        if (children[i].IsNull() || children[i].type().id() == duck::LogicalTypeId::BLOB) continue;
        object[names[i].first] = ToJson(children[i]);
      }
      return object;
    }
    case duck::LogicalTypeId::BOOLEAN:
      return value.GetValue<bool>();
    case duck::LogicalTypeId::TINYINT:
    case duck::LogicalTypeId::SMALLINT:
    case duck::LogicalTypeId::INTEGER:
    case duck::LogicalTypeId::BIGINT:
      return value.GetValue<int64_t>();
    case duck::LogicalTypeId::FLOAT:
    case duck::LogicalTypeId::DOUBLE:
      return value.GetValue<double>();
    case duck::LogicalTypeId::DECIMAL: {
      Json number = Json::parse(value.ToString(), nullptr, false);
      return number.is_discarded() ? Json(value.ToString()) : number;
    }
    case duck::LogicalTypeId::TIMESTAMP:
    case duck::LogicalTypeId::TIMESTAMP_TZ: {
      auto time = value.GetValueUnsafe<duck::timestamp_t>();
      std::string text = duck::Timestamp::ToString(time);
      if (auto blank = text.find(' '); blank != std::string::npos) text[blank] = 'T';
      auto dot = text.find('.');
      if (dot == std::string::npos) {
        text += ".000000";
      } else {
        text.resize(dot + 7, '0');
      }
      return text + "Z";
    }
    case duck::LogicalTypeId::LIST: {
      Json array = Json::array();
      for (const auto& child : duck::ListValue::GetChildren(value)) array.push_back(ToJson(child));
      return array;
    }
    default:
      return value.ToString();
  }
}

std::string TextAt(duck::UnifiedVectorFormat& format, duck::idx_t row) {
  return duck::UnifiedVectorFormat::GetData<duck::string_t>(format)[format.sel->get_index(row)].GetString();
}

void FillColumn(duck::Vector& vector, duck::idx_t count, ColumnType type, ColumnData& column) {
  duck::UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  column.valid.resize(count);
  for (duck::idx_t i = 0; i < count; i++)
    column.valid[i] = format.validity.RowIsValid(format.sel->get_index(i)) ? 1 : 0;
  auto each = [&](auto fill) {
    for (duck::idx_t i = 0; i < count; i++) {
      if (column.valid[i]) fill(i, format.sel->get_index(i));
    }
  };
  switch (type) {
    case ColumnType::kStruct: {
      const bool* there = duck::UnifiedVectorFormat::GetData<bool>(format);
      for (duck::idx_t i = 0; i < count; i++)
        column.valid[i] = column.valid[i] && there[format.sel->get_index(i)] ? 1 : 0;
      break;
    }
    case ColumnType::kBoolean:
    case ColumnType::kInteger:
    case ColumnType::kLong: {
      column.longs.resize(count);
      const int64_t* data = duck::UnifiedVectorFormat::GetData<int64_t>(format);
      each([&](duck::idx_t row, duck::idx_t at) { column.longs[row] = data[at]; });
      break;
    }
    case ColumnType::kString: {
      column.strings.resize(count);
      const auto* data = duck::UnifiedVectorFormat::GetData<duck::string_t>(format);
      each([&](duck::idx_t row, duck::idx_t at) { column.strings[row] = data[at].GetString(); });
      break;
    }
    case ColumnType::kJson:
      column.strings.resize(count);
      for (duck::idx_t i = 0; i < count; i++) {
        if (column.valid[i]) column.strings[i] = ToJson(vector.GetValue(i)).dump();
      }
      break;
    case ColumnType::kStringMap: {
      column.maps.resize(count);
      const auto* lists = duck::UnifiedVectorFormat::GetData<duck::list_entry_t>(format);
      const auto size = duck::ListVector::GetListSize(vector);
      duck::UnifiedVectorFormat keys, values;
      duck::MapVector::GetKeys(vector).ToUnifiedFormat(size, keys);
      duck::MapVector::GetValues(vector).ToUnifiedFormat(size, values);
      each([&](duck::idx_t row, duck::idx_t at) {
        for (duck::idx_t i = lists[at].offset; i < lists[at].offset + lists[at].length; i++) {
          std::optional<std::string> value;
          if (values.validity.RowIsValid(values.sel->get_index(i))) value = TextAt(values, i);
          column.maps[row].emplace_back(TextAt(keys, i), std::move(value));
        }
      });
      break;
    }
    case ColumnType::kStringList: {
      column.lists.resize(count);
      const auto* lists = duck::UnifiedVectorFormat::GetData<duck::list_entry_t>(format);
      duck::UnifiedVectorFormat elements;
      duck::ListVector::GetEntry(vector).ToUnifiedFormat(duck::ListVector::GetListSize(vector), elements);
      each([&](duck::idx_t row, duck::idx_t at) {
        for (duck::idx_t i = lists[at].offset; i < lists[at].offset + lists[at].length; i++)
          column.lists[row].push_back(TextAt(elements, i));
      });
      break;
    }
  }
}

const char* SqlType(ColumnType type) {
  switch (type) {
    case ColumnType::kStruct:
    case ColumnType::kBoolean:
      return "BOOLEAN";
    case ColumnType::kInteger:
      return "INTEGER";
    case ColumnType::kLong:
      return "BIGINT";
    case ColumnType::kStringMap:
      return "MAP(VARCHAR, VARCHAR)";
    case ColumnType::kStringList:
      return "VARCHAR[]";
    case ColumnType::kString:
    case ColumnType::kJson:
      break;
  }
  return "VARCHAR";
}

duck::Value ValueAt(const ColumnData& column, ColumnType type, size_t row) {
  if (type == ColumnType::kStruct) return duck::Value::BOOLEAN(column.valid[row] != 0);
  if (!column.valid[row]) return duck::Value();
  switch (type) {
    case ColumnType::kBoolean:
      return duck::Value::BOOLEAN(column.longs[row] != 0);
    case ColumnType::kInteger:
      return duck::Value::INTEGER(static_cast<int32_t>(column.longs[row]));
    case ColumnType::kLong:
      return duck::Value::BIGINT(column.longs[row]);
    case ColumnType::kStringMap: {
      duck::vector<duck::Value> keys, values;
      for (const auto& [key, value] : column.maps[row]) {
        keys.emplace_back(key);
        values.push_back(value ? duck::Value(*value) : duck::Value(duck::LogicalType::VARCHAR));
      }
      return duck::Value::MAP(duck::LogicalType::VARCHAR, duck::LogicalType::VARCHAR, std::move(keys),
                              std::move(values));
    }
    case ColumnType::kStringList: {
      duck::vector<duck::Value> values;
      for (const auto& value : column.lists[row]) values.emplace_back(value);
      return duck::Value::LIST(duck::LogicalType::VARCHAR, std::move(values));
    }
    default:
      return duck::Value(column.strings[row]);
  }
}

// "CASE WHEN c0 THEN struct_pack("path" := c1, ...) END": the expression of the field at `at`, and those
// inside it.
std::string Expression(const std::vector<ColumnSpec>& columns, size_t at) {
  const std::string name = "c" + std::to_string(at);
  if (columns[at].type != ColumnType::kStruct) return name;
  std::vector<std::string> fields;
  const std::string prefix = columns[at].path + ".";
  for (size_t i = 0; i < columns.size(); i++) {
    if (!columns[i].path.starts_with(prefix) || columns[i].path.find('.', prefix.size()) != std::string::npos) continue;
    fields.push_back(QuoteIdentifier(columns[i].path.substr(prefix.size())) + " := " + Expression(columns, i));
  }
  return fmt::format("CASE WHEN {} THEN struct_pack({}) END", name, Join(fields, ", "));
}

class DuckParquetIo : public delta::ParquetIo {
 public:
  explicit DuckParquetIo(engine::DuckDatabase& db) : db_(db) {}

  Result<void> Read(const std::string& location, const std::vector<ColumnSpec>& columns,
                    const std::function<Result<void>(Batch&&)>& sink) override {
    try {
      duck::Connection connection(db_.native());
      const std::string from = "read_parquet(" + QuoteLiteral(location) + ", hive_partitioning = false)";
      auto prepared = connection.Prepare("FROM " + from);
      if (prepared->HasError()) return Fail(FromDuck(prepared->GetErrorObject(), location));
      std::vector<std::pair<std::string, duck::LogicalType>> there;
      for (size_t i = 0; i < prepared->GetNames().size(); i++)
        there.emplace_back(prepared->GetNames()[i], prepared->GetTypes()[i]);
      std::vector<std::string> expressions;
      for (const auto& column : columns) {
        const auto path = Split(column.path, '.');
        if (!Find(there, path)) {
          expressions.push_back(
              fmt::format("NULL::{}", column.type == ColumnType::kInteger || column.type == ColumnType::kBoolean
                                          ? "BIGINT"
                                          : SqlType(column.type)));
          continue;
        }
        std::string name = QuoteIdentifier(path[0]);
        for (size_t i = 1; i < path.size(); i++)
          name = fmt::format("struct_extract({}, {})", name, QuoteLiteral(path[i]));
        switch (column.type) {
          case ColumnType::kStruct:
            name += " IS NOT NULL";
            break;
          case ColumnType::kBoolean:
          case ColumnType::kInteger:
          case ColumnType::kLong:
            name = "CAST(" + name + " AS BIGINT)";
            break;
          case ColumnType::kJson:
            break;
          default:
            name = fmt::format("CAST({} AS {})", name, SqlType(column.type));
        }
        expressions.push_back(std::move(name));
      }
      auto result = connection.SendQuery("SELECT " + Join(expressions, ", ") + " FROM " + from);
      if (result->HasError()) return Fail(FromDuck(result->GetErrorObject(), location));
      for (;;) {
        auto chunk = result->Fetch();
        if (result->HasError()) return Fail(FromDuck(result->GetErrorObject(), location));
        if (!chunk || chunk->size() == 0) return {};
        Batch batch;
        batch.rows = chunk->size();
        batch.columns.resize(columns.size());
        for (size_t i = 0; i < columns.size(); i++)
          FillColumn(chunk->data[i], chunk->size(), columns[i].type, batch.columns[i]);
        QUERN_TRY(sink(std::move(batch)));
      }
    } catch (const std::exception& e) {
      return Fail(FromDuck(duck::ErrorData(e), location));
    }
  }

  Result<int64_t> Write(const std::string& location, const std::vector<ColumnSpec>& columns,
                        const std::function<Result<Batch>()>& next) override {
    namespace fs = std::filesystem;
    const fs::path target = location;
    const fs::path temporary = target.parent_path() / (".quern-tmp-" + RandomUuid());
    auto written = WriteTo(temporary.string(), columns, next);
    if (!written) {
      Ignore(io::RemoveAll(temporary), "the error is what counts");
      return Fail(Named(std::move(written).error(), location));
    }
    QUERN_TRY(io::SyncFile(temporary));
    std::error_code error;
    const auto size = fs::file_size(temporary, error);
    fs::rename(temporary, target, error);
    if (error) {
      Ignore(io::RemoveAll(temporary), "the error is what counts");
      return Fail(io::SystemError("writing", target, error.value()));
    }
    QUERN_TRY(io::SyncFolder(target.parent_path()));
    return static_cast<int64_t>(size);
  }

 private:
  Result<void> WriteTo(const std::string& location, const std::vector<ColumnSpec>& columns,
                       const std::function<Result<Batch>()>& next) {
    try {
      duck::Connection connection(db_.native());
      auto run = [&](const std::string& sql) -> Result<void> {
        auto result = connection.Query(sql);
        if (result->HasError()) return Fail(FromDuck(result->GetErrorObject(), location));
        return {};
      };
      std::vector<std::string> declared, selected;
      for (size_t i = 0; i < columns.size(); i++) {
        declared.push_back(fmt::format("c{} {}", i, SqlType(columns[i].type)));
        if (columns[i].path.find('.') == std::string::npos) {
          selected.push_back(Expression(columns, i) + " AS " + QuoteIdentifier(columns[i].path));
        }
      }
      QUERN_TRY(run("CREATE TEMP TABLE actions(" + Join(declared, ", ") + ")"));
      {
        duck::Appender appender(connection, "temp", "main", "actions");
        for (;;) {
          const Batch batch = QUERN_TRY(next());
          if (batch.rows == 0) break;
          for (size_t row = 0; row < batch.rows; row++) {
            appender.BeginRow();
            for (size_t i = 0; i < columns.size(); i++)
              appender.Append(ValueAt(batch.columns[i], columns[i].type, row));
            appender.EndRow();
          }
        }
        appender.Close();
      }
      return run(fmt::format("COPY (SELECT {} FROM actions) TO {} (FORMAT parquet, USE_TMP_FILE false)",
                             Join(selected, ", "), QuoteLiteral(location)));
    } catch (const std::exception& e) {
      return Fail(FromDuck(duck::ErrorData(e), location));
    }
  }

  engine::DuckDatabase& db_;
};

}  // namespace

std::shared_ptr<delta::ParquetIo> MakeParquetIo(engine::DuckDatabase& db) {
  return std::make_shared<DuckParquetIo>(db);
}

}  // namespace quern::warehouse
