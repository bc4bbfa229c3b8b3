#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "delta/schema.h"

namespace quern::delta {

struct DecimalValue {
  __int128 unscaled = 0;
  int scale = 0;
};

/// A value of a column's type: bool; int64_t for byte..long, for date (days since 1970-01-01) and both timestamps
/// (microseconds); double for float and double; DecimalValue; string for string and binary (its bytes). monostate is
/// null.
using Literal = std::variant<std::monostate, bool, int64_t, double, DecimalValue, std::string>;
inline bool IsNull(const Literal& value) {
  return std::holds_alternative<std::monostate>(value);
}

/// Order of two values of one type; integers, doubles and decimals compare by value. Nothing when one is null, is NaN,
/// or the two are no kind that compares. Strings compare bytewise (as Spark and Parquet do).
std::optional<std::partial_ordering> Compare(const Literal& a, const Literal& b);

/// A partition value's text (protocol, "Partition Value Serialization"): nothing and "" are null; timestamps as
/// "2020-01-01 00:00:00[.ffffff]" (taken as UTC) or ISO with Z. Errors: kCorruptLog for text that is no such value.
Result<Literal> ParsePartitionValue(const DataType& type, const std::optional<std::string>& text);
/// The same backwards; null is nothing, and so is "" of a string (the protocol cannot tell them apart).
std::optional<std::string> FormatPartitionValue(const DataType& type, const Literal& value);

/// A value of minValues/maxValues: a JSON scalar's raw text (`12`, `"2020-01-01T00:00:00.000Z"`). Nothing when the text
/// does not fit the type: such statistics are not used.
std::optional<Literal> ParseStatistic(const DataType& type, std::string_view json_token);
/// JSON text for minValues/maxValues; nothing when the type has no statistics (boolean, binary, nested) or the value is
/// NaN.
std::optional<std::string> FormatStatistic(const DataType& type, const Literal& value);

/// "2020-01-31"; "2020-01-31T10:00:00.123456" (fraction only when not zero).
std::string FormatDays(int64_t days);
std::string FormatMicros(int64_t micros);
std::string FormatDecimal(const DecimalValue& value);
std::optional<DecimalValue> ParseDecimal(std::string_view text);
std::string ToString(const Literal& value);  ///< for messages

}  // namespace quern::delta
