#include "state/database.h"

#include <charconv>

#include "base/text.h"
#include "state/sqlite.h"

namespace quern::state {

int64_t Row::Int(size_t column) const {
  const auto& value = values_.at(column);
  if (!value) return 0;
  int64_t out = 0;
  std::from_chars(value->data(), value->data() + value->size(), out);
  return out;
}

double Row::Float(size_t column) const {
  const auto& value = values_.at(column);
  if (!value) return 0;
  double out = 0;
  std::from_chars(value->data(), value->data() + value->size(), out);
  return out;
}

std::optional<int64_t> Row::OptionalInt(size_t column) const {
  if (IsNull(column)) return std::nullopt;
  return Int(column);
}

Result<std::unique_ptr<Database>> Database::Open(const OpenOptions& options) {
  const size_t colon = options.url.find(':');
  const std::string scheme = colon == std::string::npos ? "" : Lower(options.url.substr(0, colon));
  for (std::string_view other : {"postgresql", "postgres", "mysql", "mariadb"}) {
    if (scheme == other) {
      return Fail(Error(ErrorCode::kInvalidArgument,
                        fmt::format("the metadata database cannot be {} yet: only SQLite is supported", scheme))
                      .Hint("give a file's path, such as .quern/state.db"));
    }
  }
  if (scheme == "sqlite") return OpenSqlite(options.url.substr(colon + 1), options);
  if (options.url.find("://") != std::string::npos) {
    return Fail(
        Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no metadata database that Quern knows", options.url))
            .Hint("give a file's path, such as .quern/state.db"));
  }
  return OpenSqlite(options.url, options);
}

Result<std::vector<Row>> Database::Query(std::string_view sql, const std::vector<Param>& params) {
  std::vector<Row> rows;
  QUERN_TRY(Read([&](Connection& connection) -> Result<void> {
    rows = QUERN_TRY(connection.Query(sql, params));
    return {};
  }));
  return rows;
}

}  // namespace quern::state
