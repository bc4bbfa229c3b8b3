#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::ingest {

/// A column's type, as far as Delta can keep it.
struct Type {
  enum class Kind {
    kUnknown,  ///< only nulls were seen
    kBoolean,
    kTinyInt,
    kSmallInt,
    kInteger,
    kBigInt,
    kFloat,
    kDouble,
    kDecimal,
    kDate,
    kTimestamp,     ///< a moment (TIMESTAMP WITH TIME ZONE)
    kTimestampNtz,  ///< a wall-clock time (TIMESTAMP)
    kVarchar,
    kBlob,
    kStruct,
    kList,
    kMap,  ///< fields: key, value
  };
  struct Field;

  Kind kind = Kind::kUnknown;
  int precision = 0;  ///< of kDecimal
  int scale = 0;
  std::vector<Field> fields;  ///< of kStruct; the element of kList is fields[0]

  // Defined below, where Field is whole: a vector of what is not cannot be made or destroyed.
  Type();
  Type(Kind k);  // NOLINT: a kind is a type
  Type(const Type&);
  Type(Type&&) noexcept;
  Type& operator=(const Type&);
  Type& operator=(Type&&) noexcept;
  ~Type();

  static Type Decimal(int precision, int scale);
  static Type List(Type element);

  /// Reads a type's SQL name as the engine prints it or a user writes it ("int", "text", "decimal(18,2)",
  /// "STRUCT(a BIGINT, b VARCHAR[])"). `timestamp` is a moment when a user writes it and a wall-clock time when the
  /// engine prints it. What Delta cannot keep becomes the nearest type that loses nothing (UUID, TIME, ENUM ->
  /// VARCHAR).
  enum class From { kUser, kEngine };
  /// Errors: kInvalidArgument.
  static Result<Type> Parse(std::string_view text, From from);
  /// From what json_group_structure gives: "UBIGINT", {"a": "VARCHAR"}, ["DOUBLE"].
  static Type OfJsonStructure(const nlohmann::ordered_json& structure);

  std::string ToSql() const;  ///< VARCHAR for kUnknown
  bool nested() const { return kind == Kind::kStruct || kind == Kind::kList || kind == Kind::kMap; }
  bool integer() const { return kind >= Kind::kTinyInt && kind <= Kind::kBigInt; }
  bool number() const { return kind >= Kind::kTinyInt && kind <= Kind::kDecimal; }
  bool operator==(const Type&) const;
};

struct Type::Field {
  std::string name;
  Type type;
};

inline Type::Type() = default;
inline Type::Type(Kind k) : kind(k) {}
inline Type::Type(const Type&) = default;
inline Type::Type(Type&&) noexcept = default;
inline Type& Type::operator=(const Type&) = default;
inline Type& Type::operator=(Type&&) noexcept = default;
inline Type::~Type() = default;

/// The narrowest type that keeps every value of both: BIGINT and DOUBLE -> DOUBLE, DATE and TIMESTAMP -> TIMESTAMP,
/// structs field by field, anything else that differs -> VARCHAR.
Type Widen(const Type& a, const Type& b);
/// Whether every value of `from` can be kept in a column of `to` as it is.
bool Fits(const Type& from, const Type& to);
/// Names of fields (dotted) that `from` has and `to` does not.
std::vector<std::string> NewFields(const Type& from, const Type& to);

}  // namespace quern::ingest
