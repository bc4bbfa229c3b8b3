#include "warehouse/types.h"

#include <duckdb/common/types/blob.hpp>

#include "base/text.h"

namespace quern::warehouse {

using delta::DataType;
using delta::TypeId;
using duck::LogicalType;
using duck::LogicalTypeId;

Result<LogicalType> SqlTypeOf(const DataType& type) {
  switch (type.id) {
    case TypeId::kString:
      return LogicalType(LogicalType::VARCHAR);
    case TypeId::kLong:
      return LogicalType(LogicalType::BIGINT);
    case TypeId::kInteger:
      return LogicalType(LogicalType::INTEGER);
    case TypeId::kShort:
      return LogicalType(LogicalType::SMALLINT);
    case TypeId::kByte:
      return LogicalType(LogicalType::TINYINT);
    case TypeId::kFloat:
      return LogicalType(LogicalType::FLOAT);
    case TypeId::kDouble:
      return LogicalType(LogicalType::DOUBLE);
    case TypeId::kBoolean:
      return LogicalType(LogicalType::BOOLEAN);
    case TypeId::kBinary:
      return LogicalType(LogicalType::BLOB);
    case TypeId::kDate:
      return LogicalType(LogicalType::DATE);
    case TypeId::kTimestamp:
      return LogicalType(LogicalType::TIMESTAMP_TZ);
    case TypeId::kTimestampNtz:
      return LogicalType(LogicalType::TIMESTAMP);
    case TypeId::kDecimal:
      return LogicalType::DECIMAL(static_cast<uint8_t>(type.precision), static_cast<uint8_t>(type.scale));
    case TypeId::kStruct: {
      duck::child_list_t<LogicalType> children;
      for (const auto& field : type.fields->fields) children.emplace_back(field.name, QUERN_TRY(SqlTypeOf(field.type)));
      return LogicalType::STRUCT(std::move(children));
    }
    case TypeId::kArray:
      return LogicalType::LIST(QUERN_TRY(SqlTypeOf(*type.element)));
    case TypeId::kMap: {
      LogicalType key = QUERN_TRY(SqlTypeOf(*type.key));
      return LogicalType::MAP(std::move(key), QUERN_TRY(SqlTypeOf(*type.element)));
    }
    case TypeId::kVoid:
      return LogicalType(LogicalType::INTEGER);  // Spark's type of a column of nulls
    case TypeId::kVariant:
    case TypeId::kOther:
      break;
  }
  return Fail(ErrorCode::kUnsupportedFeature, fmt::format("the column type '{}' is not supported", type.ToString()));
}

Result<DataType> DeltaTypeOf(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::VARCHAR:
      return DataType::Of(TypeId::kString);
    case LogicalTypeId::BIGINT:
      return DataType::Of(TypeId::kLong);
    case LogicalTypeId::INTEGER:
      return DataType::Of(TypeId::kInteger);
    case LogicalTypeId::SMALLINT:
      return DataType::Of(TypeId::kShort);
    case LogicalTypeId::TINYINT:
      return DataType::Of(TypeId::kByte);
    case LogicalTypeId::FLOAT:
      return DataType::Of(TypeId::kFloat);
    case LogicalTypeId::DOUBLE:
      return DataType::Of(TypeId::kDouble);
    case LogicalTypeId::BOOLEAN:
      return DataType::Of(TypeId::kBoolean);
    case LogicalTypeId::BLOB:
      return DataType::Of(TypeId::kBinary);
    case LogicalTypeId::DATE:
      return DataType::Of(TypeId::kDate);
    case LogicalTypeId::TIMESTAMP_TZ:
      return DataType::Of(TypeId::kTimestamp);
    case LogicalTypeId::TIMESTAMP:
      return DataType::Of(TypeId::kTimestampNtz);
    case LogicalTypeId::DECIMAL:
      return DataType::Decimal(duck::DecimalType::GetWidth(type), duck::DecimalType::GetScale(type));
    case LogicalTypeId::LIST:
      return DataType::Array(QUERN_TRY(DeltaTypeOf(duck::ListType::GetChildType(type))));
    case LogicalTypeId::MAP: {
      DataType key = QUERN_TRY(DeltaTypeOf(duck::MapType::KeyType(type)));
      return DataType::Map(std::move(key), QUERN_TRY(DeltaTypeOf(duck::MapType::ValueType(type))));
    }
    case LogicalTypeId::STRUCT: {
      delta::StructType fields;
      for (const auto& [name, child] : duck::StructType::GetChildTypes(type)) {
        fields.fields.push_back(QUERN_TRY(FieldOf(name, child, true)));
      }
      return DataType::Struct(std::move(fields));
    }
    default:
      break;
  }
  return Fail(Error(ErrorCode::kSqlBind, fmt::format("a Delta table has no type for {}", type.ToString()))
                  .Hint("cast it, for example to VARCHAR"));
}

LogicalType Storable(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return LogicalType::DECIMAL(38, 0);
    case LogicalTypeId::UBIGINT:
      return LogicalType::DECIMAL(20, 0);
    case LogicalTypeId::UINTEGER:
      return LogicalType::BIGINT;
    case LogicalTypeId::USMALLINT:
      return LogicalType::INTEGER;
    case LogicalTypeId::UTINYINT:
      return LogicalType::SMALLINT;
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
      return LogicalType::TIMESTAMP;
    case LogicalTypeId::UUID:
    case LogicalTypeId::ENUM:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::BIT:
    case LogicalTypeId::VARCHAR:
      return LogicalType::VARCHAR;  // also JSON, which is a text with a name
    case LogicalTypeId::SQLNULL:
      return LogicalType::INTEGER;
    case LogicalTypeId::LIST:
      return LogicalType::LIST(Storable(duck::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::LIST(Storable(duck::ArrayType::GetChildType(type)));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(Storable(duck::MapType::KeyType(type)), Storable(duck::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      if (duck::StructType::IsUnnamed(type)) return type;
      duck::child_list_t<LogicalType> children;
      for (const auto& [name, child] : duck::StructType::GetChildTypes(type))
        children.emplace_back(name, Storable(child));
      return LogicalType::STRUCT(std::move(children));
    }
    default:
      return type;
  }
}

Result<delta::StructField> FieldOf(const std::string& name, const LogicalType& type, bool nullable) {
  if (name.empty()) return Fail(Error(ErrorCode::kSqlBind, "a column or field has no name").Hint("give it one by AS"));
  delta::StructField field;
  field.name = name;
  field.type = QUERN_TRY_CONTEXT(DeltaTypeOf(type), name);
  field.nullable = nullable;
  return field;
}

std::optional<delta::Literal> LiteralOf(const duck::Value& value) {
  if (value.IsNull()) return delta::Literal();
  switch (value.type().id()) {
    case LogicalTypeId::BOOLEAN:
      return delta::Literal(value.GetValueUnsafe<bool>());
    case LogicalTypeId::TINYINT:
      return delta::Literal(int64_t{value.GetValueUnsafe<int8_t>()});
    case LogicalTypeId::SMALLINT:
      return delta::Literal(int64_t{value.GetValueUnsafe<int16_t>()});
    case LogicalTypeId::INTEGER:
      return delta::Literal(int64_t{value.GetValueUnsafe<int32_t>()});
    case LogicalTypeId::BIGINT:
      return delta::Literal(value.GetValueUnsafe<int64_t>());
    case LogicalTypeId::FLOAT:
      return delta::Literal(static_cast<double>(value.GetValueUnsafe<float>()));
    case LogicalTypeId::DOUBLE:
      return delta::Literal(value.GetValueUnsafe<double>());
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
      return delta::Literal(duck::StringValue::Get(value));
    case LogicalTypeId::DATE: {
      const auto date = value.GetValueUnsafe<duck::date_t>();
      if (!duck::Date::IsFinite(date)) return std::nullopt;
      return delta::Literal(int64_t{date.days});
    }
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ: {
      const auto time = value.GetValueUnsafe<duck::timestamp_t>();
      if (!duck::Timestamp::IsFinite(time)) return std::nullopt;
      return delta::Literal(time.value);
    }
    case LogicalTypeId::DECIMAL: {
      auto decimal = delta::ParseDecimal(value.ToString());
      if (!decimal) return std::nullopt;
      decimal->scale = duck::DecimalType::GetScale(value.type());
      return delta::Literal(*decimal);
    }
    default:
      return std::nullopt;
  }
}

duck::Value ValueOf(const delta::Literal& literal, const LogicalType& type) {
  if (delta::IsNull(literal)) return duck::Value(type);
  switch (type.id()) {
    case LogicalTypeId::DATE:
      return duck::Value::DATE(duck::date_t(static_cast<int32_t>(std::get<int64_t>(literal))));
    case LogicalTypeId::TIMESTAMP:
      return duck::Value::TIMESTAMP(duck::timestamp_t(std::get<int64_t>(literal)));
    case LogicalTypeId::TIMESTAMP_TZ:
      return duck::Value::TIMESTAMPTZ(duck::timestamp_tz_t(std::get<int64_t>(literal)));
    case LogicalTypeId::BLOB:
      return duck::Value::BLOB_RAW(std::get<std::string>(literal));
    case LogicalTypeId::VARCHAR:
      return duck::Value(std::get<std::string>(literal));
    case LogicalTypeId::BOOLEAN:
      return duck::Value::BOOLEAN(std::get<bool>(literal));
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
      return duck::Value::DOUBLE(std::get<double>(literal)).DefaultCastAs(type);
    case LogicalTypeId::DECIMAL:
      return duck::Value(delta::FormatDecimal(std::get<delta::DecimalValue>(literal))).DefaultCastAs(type);
    default:
      return duck::Value::BIGINT(std::get<int64_t>(literal)).DefaultCastAs(type);
  }
}

std::optional<delta::Literal> LiteralFromText(const std::string& text, const DataType& type) {
  try {
    switch (type.id) {
      case TypeId::kString:
        return delta::Literal(text);
      case TypeId::kBinary:
        return delta::Literal(duck::Blob::ToBlob(duck::string_t(text)));
      case TypeId::kBoolean:
        return delta::Literal(text == "true" || text == "1");
      case TypeId::kTimestamp:
      case TypeId::kTimestampNtz: {
        const auto time = duck::Timestamp::FromString(text, true);
        if (!duck::Timestamp::IsFinite(time)) return std::nullopt;
        return delta::Literal(time.value);
      }
      default: {
        auto sql = SqlTypeOf(type);
        if (!sql || type.nested()) return std::nullopt;
        return LiteralOf(duck::Value(text).DefaultCastAs(*sql));
      }
    }
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace quern::warehouse
