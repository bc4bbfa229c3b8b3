#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ingest/infer.h"

namespace quern::ingest {

/// What becomes of a value that does not fit.
enum class OnBad {
  kFail,  ///< the statement fails
  kDrop,  ///< the row is left out
  kNull,  ///< the value is NULL
};

/// A column of the table, in its order.
struct OutputColumn {
  std::string name;
  Type type;
  bool nullable = true;
};

struct ColumnSql {
  std::string name;
  ValueSql sql;
  OnBad on_bad = OnBad::kFail;
  std::string type;  ///< for messages
};

/// SQL of the rows of one load as the table wants them.
class RowsSql {
 public:
  RowsSql(const TableConfig& config, const Source& source, const SchemaPlan& plan, std::string run, Timestamp now);

  /// How values that do not fit their column are treated.
  void SetOnBad(size_t planned, OnBad on_bad) { columns_[planned].on_bad = on_bad; }
  void SetBadStructures(size_t planned, std::vector<std::string> structures);

  const std::vector<ColumnSql>& columns() const { return columns_; }
  /// Names and types of what Select() gives, Quern's own columns included.
  std::vector<OutputColumn> Output() const;
  /// The good rows. `extra` is appended to the inner select ("quern_f, quern_l"), and to the outer one.
  std::string Select(const std::string& extra = "") const { return Assemble(extra, {}); }
  /// Select() of nothing but one computed column, by its place in columns().
  std::string SelectComputed(size_t planned) const { return Assemble("", planned); }
  /// SELECT of file, line, column_name, reason, content of the rows that Select() leaves out; "" when it leaves out
  /// none.
  std::string Discarded() const;
  /// True for a row that is taken; "" when all are.
  std::string Condition() const;

 private:
  std::string Assemble(const std::string& extra, std::optional<size_t> computed) const;

  const TableConfig& config_;
  const Source& source_;
  const SchemaPlan& plan_;
  std::string run_;
  Timestamp now_;
  std::vector<ValueSpec> specs_;
  std::vector<ColumnSql> columns_;
};

std::string TimestampLiteral(Timestamp t);
std::string QualifiedName(const std::string& schema, const std::string& table);
/// CREATE [OR REPLACE] TABLE with partitions.
std::string CreateTableSql(const std::string& table, const std::vector<OutputColumn>& columns,
                           const std::vector<std::string>& partition_by, bool replace);
/// "a", "b", ... with a prefix in front of each.
std::string NameList(const std::vector<OutputColumn>& columns, const std::string& prefix = "");
/// t."a" = s."a" AND ...
std::string KeyMatch(const std::vector<std::string>& key, const std::string& left, const std::string& right,
                     bool nulls = false);

}  // namespace quern::ingest
