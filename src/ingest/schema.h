#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ingest/config.h"
#include "ingest/value_sql.h"

namespace quern::ingest {

/// A column of the arriving files.
struct SourceColumn {
  std::string name;
  Raw raw = Raw::kText;
  Type type;                      ///< of kJson and kTyped: what the files hold
  std::string sql_type;           ///< of kTyped, as the engine prints it
  std::string missing_in;         ///< the first file that lacks it; "" when all have it
  std::vector<std::string> path;  ///< of kJson: keys from the row's top
};

/// A column that the table has.
struct TableColumn {
  std::string name;
  Type type;
  bool nullable = true;
};

/// A column that a load writes.
struct PlannedColumn {
  std::string name;
  int source = -1;  ///< of the source columns; -1: none, it becomes NULL or is computed
  const ColumnConfig* config = nullptr;
  Type type;                     ///< kUnknown: to be inferred
  bool inferred = false;         ///< its type is guessed from the very files of this load
  bool exists = false;           ///< the table has it
  bool nullable = true;          ///< a null in it is a bad value
  std::optional<Type> was;       ///< the table's type, when it must be widened
  bool drop_new_fields = false;  ///< nested fields that the table lacks are left out
  bool fixed() const { return config != nullptr && config->type.has_value(); }  ///< declared: its type never evolves
};

struct SchemaPlan {
  std::vector<PlannedColumn> columns;
  std::vector<int> unwanted;  ///< source columns: a row that has a value there is discarded
  std::vector<std::string> notes;
  bool changes_table() const;
};

/// Fits what arrives to what the table has, by what is declared and the contract. `existing` is nothing when the table
/// is made anew; Quern's own columns are not among them. `file` is the first arriving file, for the place of errors.
/// Pure. Errors: kContract, with the file and the column.
Result<SchemaPlan> PlanSchema(const TableConfig& config, const std::optional<std::vector<TableColumn>>& existing,
                              const std::vector<SourceColumn>& sources, const std::string& file);

/// `from` without the nested fields that `to` does not have.
Type WithoutNewFields(const Type& from, const Type& to);

}  // namespace quern::ingest
