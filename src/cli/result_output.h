#pragma once
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "cli/terminal.h"
#include "engine/connection.h"

namespace quern::cli {

/// Takes text; false when nobody reads any more.
using Write = std::function<bool(std::string_view)>;

/// Writes rows as CSV (RFC 4180, with a header; NULL is an empty field, an empty text is "").
std::unique_ptr<engine::RowSink> CsvSink(Write write);
/// Writes rows as one JSON array of objects. Nested values are JSON too; NaN and infinities are null.
class JsonSink : public engine::RowSink {
 public:
  explicit JsonSink(Write write) : write_(std::move(write)) {}
  Result<void> Begin(const std::vector<engine::Column>& columns) override;
  Result<void> Row(const std::vector<engine::Value>& row) override;
  /// Closes the array; call once, after the last row.
  void End();

 private:
  Write write_;
  std::vector<engine::Column> columns_;
  std::vector<std::string> names_;
  bool begun_ = false, first_ = true;
};

/// One value as JSON; `type` is the engine's type text.
std::string ValueToJson(const engine::Value& value, const std::string& type);

/// A result for people: a table fitted to the terminal and a line with the number of rows.
std::string ResultTable(const engine::QueryResult& result, int64_t limit, const Terminal& terminal);

bool IsNumeric(const std::string& type);

}  // namespace quern::cli
