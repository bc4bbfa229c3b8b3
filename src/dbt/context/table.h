#pragma once
#include <string>
#include <vector>

#include "engine/connection.h"
#include "jinja/value.h"

namespace quern::dbt {

/// A query's result as templates see it: the parts of agate's Table that dbt projects use (columns, rows, column_names,
/// print_table, iteration over rows, length).
jinja::Value MakeTable(std::vector<std::string> names, std::vector<std::vector<jinja::Value>> rows);
jinja::Value MakeTable(const engine::QueryResult& result);
/// One value of a result; dates and timestamps become date and datetime objects.
jinja::Value FromEngine(const engine::Value& value, const std::string& type);
/// Names and rows of a table made by MakeTable; null for others.
struct TableData {
  std::vector<std::string> names;
  std::vector<jinja::Value> rows;  ///< each a row object
};
const TableData* AsTable(const jinja::Value& value);

}  // namespace quern::dbt
