#include "ingest/table_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace quern::ingest {
namespace {

int64_t Integer(const engine::Value& value) {
  if (const auto* n = std::get_if<int64_t>(&value)) return *n;
  return engine::IsNull(value) ? 0 : std::strtoll(engine::ToText(value).c_str(), nullptr, 10);
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return EqualsIgnoreCase(n, name); });
}

}  // namespace

TableWriter::TableWriter(const TableConfig& config, engine::Connection& connection, std::string table,
                         const Source& source, const SchemaPlan& plan, const RowsSql& rows, const LoadGroup& group,
                         bool anew, std::vector<TableColumn> existing)
    : config_(config),
      connection_(connection),
      table_(std::move(table)),
      source_(source),
      plan_(plan),
      rows_(rows),
      group_(group),
      anew_(anew),
      existing_(std::move(existing)),
      output_(rows.Output()) {
  if (config.child_tables) output_.push_back({std::string(kIdColumn), Type::Kind::kVarchar, true});
}

bool TableWriter::staged() const {
  return config_.mode == Mode::kMerge || config_.mode == Mode::kHistory || config_.child_tables;
}

Result<void> TableWriter::Run(const std::string& sql) {
  QUERN_TRY(connection_.Execute(sql));
  return {};
}

Result<void> TableWriter::Stage() {
  if (!staged()) return {};
  const std::string child = config_.child_tables ? source_.ChildColumns() : "";
  const std::string extra = "quern_f" + (child.empty() ? "" : ", " + child);
  QUERN_TRY(Run(fmt::format("CREATE OR REPLACE TEMP TABLE {} AS {}", kStage, rows_.Select(extra))));
  if (!source_.in_file_order()) {  // the engine read the files in groups
    std::string paths;
    for (const SourceFile& file : group_.files) paths += (paths.empty() ? "" : ", ") + QuoteLiteral(file.path);
    QUERN_TRY(Run(fmt::format(
        "CREATE OR REPLACE TEMP TABLE quern_ordered AS SELECT * FROM {} ORDER BY list_position([{}], quern_f), rowid",
        kStage, paths)));
    QUERN_TRY(Run(fmt::format("DROP TABLE {}", kStage)));
    QUERN_TRY(Run(fmt::format("ALTER TABLE quern_ordered RENAME TO {}", kStage)));
  }
  if (!config_.child_tables) return {};
  // A row's id: of its key, or of its place. The same rows get the same ids however often they are loaded.
  std::string id;
  if (config_.key.empty()) {
    id = "md5(quern_f || chr(10) || row_number() OVER (PARTITION BY quern_f ORDER BY rowid))";
  } else {
    for (const std::string& name : config_.key) {
      id += fmt::format("{}coalesce(CAST({} AS VARCHAR), '')", id.empty() ? "" : " || chr(10) || ",
                        QuoteIdentifier(name));
    }
    id = "md5(" + id + ")";
  }
  QUERN_TRY(Run(fmt::format("CREATE OR REPLACE TEMP TABLE quern_with_ids AS SELECT *, {} AS {} FROM {} ORDER BY rowid",
                            id, kIdColumn, kStage)));
  QUERN_TRY(Run(fmt::format("DROP TABLE {}", kStage)));
  return Run(fmt::format("ALTER TABLE quern_with_ids RENAME TO {}", kStage));
}

Result<void> TableWriter::Apply() {
  QUERN_TRY(PrepareTable());
  switch (config_.mode) {
    case Mode::kReplace:
    case Mode::kAppend:
      return Insert();
    case Mode::kMerge:
      return Merge();
    case Mode::kDeleteInsert:
      return DeleteInsert();
    case Mode::kHistory:
      return History();
  }
  return {};
}

// Makes the table, or gives it the columns and types that it lacks.
Result<void> TableWriter::PrepareTable() {
  std::vector<OutputColumn> columns = output_;
  if (config_.mode == Mode::kHistory) {
    columns.push_back({config_.history.valid_from, Type::Kind::kTimestamp, true});
    columns.push_back({config_.history.valid_to, Type::Kind::kTimestamp, true});
    columns.push_back({config_.history.is_current, Type::Kind::kBoolean, true});
  }
  if (anew_ || config_.mode == Mode::kReplace) {
    return Run(CreateTableSql(table_, columns, config_.partition_by, anew_ || !existing_.empty()));
  }
  const bool retype =
      std::any_of(plan_.columns.begin(), plan_.columns.end(), [](const PlannedColumn& c) { return c.was.has_value(); });
  std::vector<OutputColumn> added;
  for (const OutputColumn& column : columns) {
    const bool known = std::any_of(existing_.begin(), existing_.end(),
                                   [&](const TableColumn& c) { return EqualsIgnoreCase(c.name, column.name); });
    if (!known) added.push_back(column);
  }
  if (!retype) {
    for (const OutputColumn& column : added) {
      QUERN_TRY(Run(
          fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table_, QuoteIdentifier(column.name), column.type.ToSql())));
    }
    return {};
  }
  // Other types: the whole table is written again, in the same commit.
  std::vector<OutputColumn> all;
  std::string select;
  for (const TableColumn& known : existing_) {
    OutputColumn column{known.name, known.type, known.nullable};
    for (const PlannedColumn& planned : plan_.columns) {
      if (planned.was && EqualsIgnoreCase(planned.name, known.name)) column.type = planned.type;
    }
    const std::string name = QuoteIdentifier(known.name);
    const bool json = known.type.nested() && !column.type.nested();
    select += fmt::format("{}CAST({} AS {}) AS {}", select.empty() ? "" : ", ", json ? "to_json(" + name + ")" : name,
                          column.type.ToSql(), name);
    all.push_back(std::move(column));
  }
  QUERN_TRY(Run(fmt::format("CREATE OR REPLACE TEMP TABLE quern_rewritten AS SELECT {} FROM {}", select, table_)));
  const std::string names = NameList(all);
  for (OutputColumn& column : added) {
    column.nullable = true;
    all.push_back(column);
  }
  QUERN_TRY(Run(CreateTableSql(table_, all, config_.partition_by, true)));
  QUERN_TRY(Run(fmt::format("INSERT INTO {} ({}) SELECT {} FROM quern_rewritten", table_, names, names)));
  return Run("DROP TABLE quern_rewritten");
}

Result<void> TableWriter::Insert() {
  const std::string from = staged() ? fmt::format("SELECT {} FROM {}", NameList(output_), kStage) : rows_.Select();
  const auto answer =
      QUERN_TRY(connection_.Execute(fmt::format("INSERT INTO {} ({}) {}", table_, NameList(output_), from)));
  inserted_ = answer.rows_changed;
  return {};
}

std::string TableWriter::LastOfEachKey() const {
  std::string key;
  for (const std::string& name : config_.key) key += (key.empty() ? "" : ", ") + QuoteIdentifier(name);
  // The stage is in the order of the files and their lines, so the last row is the one of the highest row id.
  return fmt::format("SELECT {0} FROM {1} WHERE rowid IN (SELECT max(rowid) FROM {1} GROUP BY {2})", NameList(output_),
                     kStage, key);
}

Result<void> TableWriter::Merge() {
  if (anew_) {
    const auto answer = QUERN_TRY(
        connection_.Execute(fmt::format("INSERT INTO {} ({}) {}", table_, NameList(output_), LastOfEachKey())));
    inserted_ = answer.rows_changed;
    return {};
  }
  std::string set;
  for (const OutputColumn& column : output_) {
    if (Contains(config_.key, column.name)) continue;
    const std::string name = QuoteIdentifier(column.name);
    set += fmt::format("{}{} = s.{}", set.empty() ? "" : ", ", name, name);
  }
  std::string sql =
      fmt::format("MERGE INTO {} AS t USING ({}) AS s ON {}", table_, LastOfEachKey(), KeyMatch(config_.key, "t", "s"));
  if (!set.empty()) sql += " WHEN MATCHED THEN UPDATE SET " + set;
  sql += fmt::format(" WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})", NameList(output_), NameList(output_, "s."));
  return Run(sql);
}

Result<void> TableWriter::DeleteInsert() {
  if (!anew_) {
    std::string names;
    for (const std::string& name : config_.partition_by) names += (names.empty() ? "" : ", ") + QuoteIdentifier(name);
    const std::string from = staged() ? std::string(kStage) : "(" + rows_.Select() + ")";
    const auto arriving = QUERN_TRY(connection_.Execute(
        fmt::format("CREATE OR REPLACE TEMP TABLE quern_partitions AS SELECT DISTINCT {} FROM {}", names, from)));
    QUERN_TRY(Run(fmt::format("DELETE FROM {} AS t WHERE EXISTS (SELECT 1 FROM quern_partitions AS p WHERE {})", table_,
                              KeyMatch(config_.partition_by, "t", "p", true))));
  }
  return Insert();
}

Result<void> TableWriter::History() {
  const HistoryConfig& history = config_.history;
  const std::string from = QuoteIdentifier(history.valid_from);
  const std::string to = QuoteIdentifier(history.valid_to);
  const std::string current = QuoteIdentifier(history.is_current);
  const std::string at = TimestampLiteral(*group_.time);
  QUERN_TRY(Run(fmt::format("CREATE OR REPLACE TEMP TABLE quern_new AS {}", LastOfEachKey())));
  std::string set;
  std::string differs;
  for (const OutputColumn& column : output_) {
    if (Contains(config_.key, column.name)) continue;
    const std::string name = QuoteIdentifier(column.name);
    set += fmt::format("{}{} = s.{}", set.empty() ? "" : ", ", name, name);
    if (Lower(column.name).starts_with("_quern_")) continue;
    differs += fmt::format("{}t.{} IS DISTINCT FROM s.{}", differs.empty() ? "" : " OR ", name, name);
  }
  const std::string match = KeyMatch(config_.key, "t", "s");
  if (!anew_) {
    std::string sql = fmt::format("MERGE INTO {} AS t USING quern_new AS s ON {} AND t.{}", table_, match, current);
    bool any = false;
    if (!set.empty()) {
      sql += fmt::format(" WHEN MATCHED AND t.{} = {} THEN UPDATE SET {}", from, at, set);
      any = true;
    }
    if (!differs.empty()) {
      sql += fmt::format(" WHEN MATCHED AND ({}) THEN UPDATE SET {} = {}, {} = false", differs, to, at, current);
      any = true;
    }
    if (any) QUERN_TRY(Run(sql));
    if (history.missing_keys == HistoryConfig::Missing::kClose) {
      QUERN_TRY(
          Run(fmt::format("UPDATE {} AS t SET {} = {}, {} = false WHERE t.{} AND t.{} < {} AND NOT EXISTS (SELECT 1 "
                          "FROM quern_new AS s WHERE {})",
                          table_, to, at, current, current, from, at, match)));
    }
  }
  const std::string open =
      anew_ ? "" : fmt::format(" WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE {} AND t.{})", table_, match, current);
  const auto answer = QUERN_TRY(connection_.Execute(
      fmt::format("INSERT INTO {} ({}, {}, {}, {}) SELECT {}, {}, NULL, true FROM quern_new AS s{}", table_,
                  NameList(output_), from, to, current, NameList(output_, "s."), at, open)));
  inserted_ = answer.rows_changed;
  return {};
}

Result<std::map<std::string, int64_t>> TableWriter::RowsByFile() {
  std::map<std::string, int64_t> counts;
  if (!staged() && group_.files.size() == 1) {
    counts[group_.files[0].path] = inserted_;
    return counts;
  }
  std::string sql = fmt::format("SELECT quern_f, count(*) FROM {} GROUP BY ALL", kStage);
  if (!staged()) {
    std::string files;
    for (const SourceFile& file : group_.files) files += (files.empty() ? "" : ", ") + QuoteLiteral(file.path);
    sql = config_.metadata_columns
              ? fmt::format("SELECT {0}, count(*) FROM {1} WHERE {0} IN ({2}) GROUP BY ALL", kFileColumn, table_, files)
              : fmt::format("SELECT quern_f, count(*) FROM ({}) GROUP BY ALL", rows_.Select("quern_f"));
  }
  const auto answer = QUERN_TRY(connection_.Execute(sql));
  for (const auto& row : answer.rows) counts[engine::ToText(row[0])] = Integer(row[1]);
  return counts;
}

}  // namespace quern::ingest
