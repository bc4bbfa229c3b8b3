#include "cli/result_output.h"

#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "cli/table_text.h"

namespace quern::cli {
namespace {

// What a sink answers when its reader went away: the command ends quietly.
tl::unexpected<Error> NobodyReads() {
  return Fail(ErrorCode::kCancelled, "nobody reads the output any more");
}

std::string CsvField(const engine::Value& value) {
  if (engine::IsNull(value)) return "";
  auto text = engine::ToText(value);
  bool quote =
      text.empty() || text.find_first_of("\",\r\n") != std::string::npos || text.front() == ' ' || text.back() == ' ';
  return quote ? "\"" + ReplaceAll(text, "\"", "\"\"") + "\"" : text;
}

std::string Record(const std::vector<std::string>& fields) {
  return Join(fields, ",") + "\n";
}

class Csv : public engine::RowSink {
 public:
  explicit Csv(Write write) : write_(std::move(write)) {}
  Result<void> Begin(const std::vector<engine::Column>& columns) override {
    std::vector<std::string> names;
    for (const auto& column : columns) names.push_back(CsvField(column.name));
    if (!write_(Record(names))) return NobodyReads();
    return {};
  }
  Result<void> Row(const std::vector<engine::Value>& row) override {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += ',';
      line += CsvField(row[i]);
    }
    // A row of one NULL would be an empty line, which readers skip.
    if (line.empty()) line = "\"\"";
    if (!write_(line + "\n")) return NobodyReads();
    return {};
  }

 private:
  Write write_;
};

bool IsNested(const std::string& type) {
  return type.ends_with("]") || type.starts_with("STRUCT(") || type.starts_with("MAP(") || type == "JSON" ||
         type.starts_with("UNION(");
}

}  // namespace

bool IsNumeric(const std::string& type) {
  for (std::string_view name : {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
                                "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"}) {
    if (type == name) return true;
  }
  return type.starts_with("DECIMAL");
}

std::unique_ptr<engine::RowSink> CsvSink(Write write) {
  return std::make_unique<Csv>(std::move(write));
}

std::string ValueToJson(const engine::Value& value, const std::string& type) {
  if (engine::IsNull(value)) return "null";
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* d = std::get_if<double>(&value); d && !std::isfinite(*d)) return "null";
  auto text = engine::ToText(value);
  if (!std::holds_alternative<std::string>(value)) return text;
  if (IsNumeric(type) && Json::accept(text)) return text;  // decimals and wide integers come as text
  if (IsNested(type) && Json::accept(text)) return text;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<void> JsonSink::Begin(const std::vector<engine::Column>& columns) {
  columns_ = columns;
  for (const auto& column : columns)
    names_.push_back(Json(column.name).dump(-1, ' ', false, Json::error_handler_t::replace));
  begun_ = true;
  if (!write_("[")) return NobodyReads();
  return {};
}

Result<void> JsonSink::Row(const std::vector<engine::Value>& row) {
  std::string line = first_ ? "\n  {" : ",\n  {";
  first_ = false;
  for (size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line += ", ";
    line += names_[i] + ": " + ValueToJson(row[i], columns_[i].type);
  }
  if (!write_(line + "}")) return NobodyReads();
  return {};
}

void JsonSink::End() {
  if (begun_) write_(first_ ? "]\n" : "\n]\n");
}

std::string ResultTable(const engine::QueryResult& result, int64_t limit, const Terminal& terminal) {
  TextTable table;
  for (const auto& column : result.columns) table.columns.push_back({column.name, IsNumeric(column.type)});
  for (const auto& row : result.rows) {
    if (limit >= 0 && static_cast<int64_t>(table.rows.size()) >= limit) break;
    auto& cells = table.rows.emplace_back();
    for (const auto& value : row) {
      cells.push_back(engine::IsNull(value) ? std::nullopt : std::optional(engine::ToText(value)));
    }
  }
  auto count = static_cast<int64_t>(table.rows.size());
  bool cut = result.truncated || count < static_cast<int64_t>(result.rows.size());
  auto out = Draw(table, terminal.width(), terminal);
  auto word = count == 1 ? "row" : "rows";
  out += cut ? fmt::format("the first {} {}; there are more (--limit 0 shows all)", FormatCount(count), word)
             : fmt::format("{} {}", FormatCount(count), word);
  return out;
}

}  // namespace quern::cli
