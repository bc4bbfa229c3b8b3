#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "ingest/type.h"

namespace quern::ingest {

/// In what form a source gives a column.
enum class Raw {
  kText,   ///< VARCHAR (CSV)
  kJson,   ///< a JSON value
  kTyped,  ///< a type of its own (Parquet)
};

struct ValueSpec {
  Raw raw = Raw::kText;
  Type raw_type;             ///< of kTyped; of kJson what json_group_structure saw
  std::string raw_sql_type;  ///< of kTyped as the engine prints it: unsigned numbers, TIME, ...
  Type target;
  bool inferred = false;  ///< the target was guessed from these very values: only what reads back equal fits
  bool guessed = false;   ///< the target was guessed from earlier values: leading zeros are part of a code here too
  std::string format;     ///< strptime's
  TimeZone zone = TimeZone::Utc();
  bool nullable = true;
  std::vector<std::string>
      bad_structures;  ///< of kJson into a nested target: values of json_structure() that do not fit
};

/// SQL of one value. `ok` is never NULL; `value` is of the target's type, NULL where the raw value does not fit.
struct ValueSql {
  std::string value;
  std::string ok;    ///< "true" when every value fits
  std::string text;  ///< the raw value as VARCHAR, for messages and the quarantine
};
ValueSql MakeValue(const ValueSpec& spec, const std::string& column);

/// The types that text may be inferred as, in the order in which they are tried; the last is VARCHAR, which takes all.
/// `text_only` leaves out numbers and truth values (for JSON strings, which are text by their own word).
std::vector<Type> Candidates(bool text_only);
/// What a column that does not keep all values any more may become, nearest first; the last is VARCHAR.
std::vector<Type> WiderTypes(const Type& type);

/// The structure that json_transform takes for a type.
std::string TransformStructure(const Type& type);

}  // namespace quern::ingest
