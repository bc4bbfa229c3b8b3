#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern::dbt {

/// A seed file: names, rows, and the type of each column inferred over all rows.
struct SeedTable {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> types;  ///< SQL: integer, bigint, float8, date, timestamp, boolean, text
};
/// Parses CSV (RFC 4180). Errors: kParse with the line, for a row of another length, a quote that does not end, no
/// header.
Result<SeedTable> ParseSeed(std::string_view text, char delimiter, const std::string& shown);

}  // namespace quern::dbt
