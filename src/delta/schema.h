#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::delta {

enum class TypeId {
  kString,
  kLong,
  kInteger,
  kShort,
  kByte,
  kFloat,
  kDouble,
  kBoolean,
  kBinary,
  kDate,
  kTimestamp,     ///< a moment; microseconds since the epoch, UTC
  kTimestampNtz,  ///< a wall-clock time; microseconds
  kDecimal,
  kStruct,
  kArray,
  kMap,
  kVariant,
  kVoid,
  kOther,  ///< a primitive name that we do not know; kept as it is
};

struct StructType;

/// A Delta type. Value type; nested parts are shared and immutable.
struct DataType {
  TypeId id = TypeId::kString;
  int precision = 0;  ///< kDecimal
  int scale = 0;
  std::shared_ptr<const StructType> fields;  ///< kStruct
  std::shared_ptr<const DataType> key;       ///< kMap
  std::shared_ptr<const DataType> element;   ///< kArray; of kMap the value
  bool contains_null = true;                 ///< kArray: elements, kMap: values may be null
  std::string other;                         ///< kOther: the name in the log

  static DataType Of(TypeId primitive);
  static DataType Decimal(int precision, int scale);
  static DataType Struct(StructType fields);
  static DataType Array(DataType element, bool contains_null = true);
  static DataType Map(DataType key, DataType value, bool value_contains_null = true);

  bool nested() const { return id == TypeId::kStruct || id == TypeId::kArray || id == TypeId::kMap; }
  /// "long", "decimal(10,2)", "array<long>", "struct<a:long>": for messages.
  std::string ToString() const;
  friend bool operator==(const DataType& a, const DataType& b);
};

/// A field; `metadata` is the log's object, kept whole (columnMapping, invariants, comments, ...).
struct StructField {
  std::string name;
  DataType type;
  bool nullable = true;
  Json metadata = Json::object();

  /// Name in Parquet files and in statistics: delta.columnMapping.physicalName when the table maps columns, else the
  /// name.
  const std::string& physical_name() const;
  std::optional<int64_t> column_id() const;  ///< delta.columnMapping.id
  friend bool operator==(const StructField&, const StructField&) = default;
};

struct StructType {
  std::vector<StructField> fields;

  /// Exact name first, then without case (as Spark resolves); null when there is none.
  const StructField* Find(std::string_view name) const;
  /// By a path of names into structs ({"a", "b"}); null when there is none.
  const StructField* FindPath(const std::vector<std::string>& path) const;
  friend bool operator==(const StructType&, const StructType&) = default;
};

/// The schemaString's JSON. Errors: kCorruptLog that names the field path. Nesting is limited to 100 levels.
Result<StructType> ParseSchema(std::string_view json);
/// JSON text in Spark's own order of keys, so that equal schemas are equal text.
std::string PrintSchema(const StructType& schema);
Result<DataType> ParseDataType(const Json& json, std::string_view path);
Json DataTypeToJson(const DataType& type);

/// Calls `visit` for every field at every depth, structs inside arrays and maps too, with its path ("a.b",
/// "l.element.c").
template <class Visit>
void VisitFields(const StructType& schema, const Visit& visit, const std::string& prefix = "");
template <class Visit>
void VisitFields(const DataType& type, const Visit& visit, const std::string& prefix) {
  if (type.fields) VisitFields(*type.fields, visit, prefix + ".");
  if (type.key) VisitFields(*type.key, visit, prefix + ".key");
  if (type.element) VisitFields(*type.element, visit, prefix + (type.key ? ".value" : ".element"));
}
template <class Visit>
void VisitFields(const StructType& schema, const Visit& visit, const std::string& prefix) {
  for (const StructField& field : schema.fields) {
    visit(prefix + field.name, field);
    VisitFields(field.type, visit, prefix + field.name);
  }
}
/// Whether the schema, at any depth, uses the type.
bool UsesType(const StructType& schema, TypeId id);

}  // namespace quern::delta
