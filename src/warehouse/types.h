#pragma once
#include <duckdb.hpp>

#include "delta/literal.h"
#include "delta/schema.h"
#include "engine/duckdb/native.h"

namespace quern::warehouse {

namespace duck = ::duckdb;

/// The value of a result, or its error as a DuckDB exception: for the callbacks that DuckDB makes.
template <class T>
T OrThrow(Result<T> result) {
  if (!result) engine::ThrowToDuckDb(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// The engine's type of a Delta type. Errors: kUnsupportedFeature for types that we do not read.
Result<duck::LogicalType> SqlTypeOf(const delta::DataType& type);
/// The Delta type of a storable engine type. Errors: kSqlBind that says what to cast to.
Result<delta::DataType> DeltaTypeOf(const duck::LogicalType& type);
/// The nearest type that Delta has: unsigned and huge integers become wider or decimals, times and UUIDs
/// text, and so on.
duck::LogicalType Storable(const duck::LogicalType& type);
/// A schema with the names and types of a new table; all fields nullable.
Result<delta::StructField> FieldOf(const std::string& name, const duck::LogicalType& type, bool nullable);

/// A value for statistics and predicates; nothing when there is no counterpart (nested values, times).
std::optional<delta::Literal> LiteralOf(const duck::Value& value);
/// The engine's value of a partition value's literal. `type` is the column's.
duck::Value ValueOf(const delta::Literal& literal, const duck::LogicalType& type);
/// A value out of the text by which the Parquet writer reports statistics and partition keys; nothing when it
/// is no such value. Moments without an offset are UTC.
std::optional<delta::Literal> LiteralFromText(const std::string& text, const delta::DataType& type);

}  // namespace quern::warehouse
