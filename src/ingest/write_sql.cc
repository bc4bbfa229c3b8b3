#include "ingest/write_sql.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace quern::ingest {
namespace {

bool Computes(const TableConfig& config) {
  return std::any_of(config.columns.begin(), config.columns.end(),
                     [](const ColumnConfig& c) { return !c.expression.empty(); });
}

}  // namespace

std::string TimestampLiteral(Timestamp t) {
  return fmt::format("TIMESTAMPTZ '{}'", FormatUtc(t));
}

std::string QualifiedName(const std::string& schema, const std::string& table) {
  return QuoteIdentifier(schema) + "." + QuoteIdentifier(table);
}

RowsSql::RowsSql(const TableConfig& config, const Source& source, const SchemaPlan& plan, std::string run,
                 Timestamp now)
    : config_(config), source_(source), plan_(plan), run_(std::move(run)), now_(now) {
  for (const PlannedColumn& column : plan.columns) {
    ColumnSql sql;
    sql.name = column.name;
    sql.type = column.type.ToSql();
    ValueSpec spec;
    if (column.source >= 0) {
      spec = SpecOf(config, source.columns()[static_cast<size_t>(column.source)], column);
      sql.sql = MakeValue(spec, fmt::format("quern_c{}", column.source));
    } else {
      sql.sql.value = fmt::format("CAST(NULL AS {})", sql.type);
      sql.sql.ok = "true";
      sql.sql.text = "CAST(NULL AS VARCHAR)";
    }
    specs_.push_back(std::move(spec));
    columns_.push_back(std::move(sql));
  }
}

void RowsSql::SetBadStructures(size_t planned, std::vector<std::string> structures) {
  specs_[planned].bad_structures = std::move(structures);
  columns_[planned].sql = MakeValue(specs_[planned], fmt::format("quern_c{}", plan_.columns[planned].source));
}

std::vector<OutputColumn> RowsSql::Output() const {
  std::vector<OutputColumn> out;
  for (const PlannedColumn& column : plan_.columns) out.push_back({column.name, column.type, column.nullable});
  if (config_.metadata_columns) {
    out.push_back({std::string(kFileColumn), Type::Kind::kVarchar, true});
    out.push_back({std::string(kRunColumn), Type::Kind::kVarchar, true});
    out.push_back({std::string(kLoadedAtColumn), Type::Kind::kTimestamp, true});
  }
  return out;
}

std::string RowsSql::Condition() const {
  std::string condition;
  for (const ColumnSql& column : columns_) {
    if (column.on_bad != OnBad::kDrop || column.sql.ok == "true") continue;
    condition += (condition.empty() ? "" : " AND ") + column.sql.ok;
  }
  for (const int source : plan_.unwanted) {
    condition += fmt::format("{}quern_c{} IS NULL", condition.empty() ? "" : " AND ", source);
  }
  return condition;
}

std::string RowsSql::Assemble(const std::string& extra, std::optional<size_t> computed) const {
  const bool computes = Computes(config_);
  std::string select;
  std::string outer;
  const auto add = [](std::string& list, const std::string& item) { list += (list.empty() ? "" : ", ") + item; };
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ColumnSql& column = columns_[i];
    const std::string name = QuoteIdentifier(column.name);
    const ColumnConfig* declared = plan_.columns[i].config;
    if (declared != nullptr && !declared->expression.empty()) {
      // On lines of its own: a comment in it ends there.
      if (!computed || *computed == i)
        add(outer, fmt::format("CAST((\n{}\n) AS {}) AS {}", declared->expression, column.type, name));
      continue;
    }
    std::string value = column.sql.value;
    if (column.sql.ok != "true") {
      if (column.on_bad == OnBad::kFail)
        value = fmt::format("CASE WHEN {} THEN {} ELSE error('a value does not fit') END", column.sql.ok, value);
      if (column.on_bad == OnBad::kNull) value = fmt::format("CASE WHEN {} THEN {} END", column.sql.ok, value);
    }
    add(select, fmt::format("{} AS {}", value, name));
    if (!computed) add(outer, name);
  }
  if (config_.metadata_columns) {
    for (const auto& [name, value] : {std::pair<std::string_view, std::string>{kFileColumn, "quern_f"},
                                      {kRunColumn, QuoteLiteral(run_)},
                                      {kLoadedAtColumn, TimestampLiteral(now_)}}) {
      add(select, fmt::format("{} AS {}", value, name));
      if (!computed) add(outer, std::string(name));
    }
  }
  if (!extra.empty()) {
    add(select, extra);
    add(outer, extra);
  }
  std::string from = source_.Sql();
  const std::string condition = Condition();
  if (computes) {
    std::string paths;
    std::string times;
    for (const SourceFile& file : source_.files()) {
      add(paths, QuoteLiteral(file.path));
      add(times, file.time ? TimestampLiteral(*file.time) : "CAST(NULL AS TIMESTAMPTZ)");
    }
    if (!config_.metadata_columns) add(select, fmt::format("quern_f AS {}", kFileColumn));
    add(select, fmt::format("[{}][list_position([{}], quern_f)] AS {}", times, paths, kFileTimeColumn));
  }
  std::string sql = fmt::format("SELECT {} FROM ({})", select, from);
  if (!condition.empty()) sql += " WHERE " + condition;
  return computes ? fmt::format("SELECT {} FROM ({})", outer, sql) : sql;
}

std::string RowsSql::Discarded() const {
  if (Condition().empty()) return "";
  std::string reasons;
  std::string names;
  std::string content;
  const auto add = [](std::string& list, const std::string& item) { list += (list.empty() ? "" : ", ") + item; };
  const auto bad = [&](const std::string& name, const std::string& ok, const std::string& reason) {
    add(reasons, fmt::format("CASE WHEN NOT ({}) THEN {} END", ok, reason));
    add(names, fmt::format("CASE WHEN NOT ({}) THEN {} END", ok, QuoteLiteral(name)));
  };
  for (const ColumnSql& column : columns_) {
    if (column.on_bad != OnBad::kDrop || column.sql.ok == "true") continue;
    bad(column.name, column.sql.ok,
        fmt::format("{} || coalesce('''' || left({}, 200) || {}, 'null in a column that may not be null')",
                    QuoteLiteral(column.name + ": "), column.sql.text, QuoteLiteral("' is no " + column.type)));
  }
  for (const int source : plan_.unwanted) {
    const std::string& name = source_.columns()[static_cast<size_t>(source)].name;
    bad(name, fmt::format("quern_c{} IS NULL", source), QuoteLiteral(name + ": a column that the table does not have"));
  }
  for (size_t i = 0; i < source_.columns().size(); ++i) {
    add(content, fmt::format("{} := quern_c{}", QuoteIdentifier(source_.columns()[i].name), i));
  }
  return fmt::format(
      "SELECT quern_f AS file, quern_l AS line, coalesce({}) AS column_name, concat_ws('; ', {}) AS reason, "
      "CAST(to_json(struct_pack({})) AS VARCHAR) AS content FROM ({}) WHERE NOT ({})",
      names + ", NULL", reasons, content, source_.Sql(), Condition());
}

std::string CreateTableSql(const std::string& table, const std::vector<OutputColumn>& columns,
                           const std::vector<std::string>& partition_by, bool replace) {
  std::string list;
  for (const OutputColumn& column : columns) {
    list += fmt::format("{}{} {}{}", list.empty() ? "" : ", ", QuoteIdentifier(column.name), column.type.ToSql(),
                        column.nullable ? "" : " NOT NULL");
  }
  std::string partitions;
  for (const std::string& name : partition_by) partitions += (partitions.empty() ? "" : ", ") + QuoteIdentifier(name);
  return fmt::format("CREATE {}TABLE {} ({}){}", replace ? "OR REPLACE " : "", table, list,
                     partitions.empty() ? "" : " PARTITIONED BY (" + partitions + ")");
}

std::string NameList(const std::vector<OutputColumn>& columns, const std::string& prefix) {
  std::string list;
  for (const OutputColumn& column : columns) list += (list.empty() ? "" : ", ") + prefix + QuoteIdentifier(column.name);
  return list;
}

std::string KeyMatch(const std::vector<std::string>& key, const std::string& left, const std::string& right,
                     bool nulls) {
  std::string match;
  for (const std::string& name : key) {
    const std::string column = QuoteIdentifier(name);
    match += fmt::format("{}{}.{} {} {}.{}", match.empty() ? "" : " AND ", left, column,
                         nulls ? "IS NOT DISTINCT FROM" : "=", right, column);
  }
  return match;
}

}  // namespace quern::ingest
