#include "ingest/children.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "ingest/table_writer.h"
#include "ingest/write_sql.h"

namespace quern::ingest {
namespace {

using warehouse::TableName;

// A field of a list's elements that becomes a column.
struct Leaf {
  std::string name;
  std::string path;  // JSON path in the element; "$" for the element itself
  Type type;
};

void Flatten(const Type& type, const std::string& name, const std::string& path, std::vector<Leaf>& leaves,
             std::vector<Leaf>& lists) {
  if (type.kind == Type::Kind::kStruct) {
    for (const Type::Field& field : type.fields) {
      Flatten(field.type, name.empty() ? field.name : name + "__" + field.name, path + "." + Json(field.name).dump(),
              leaves, lists);
    }
    return;
  }
  const std::string leaf = name.empty() ? "value" : name;
  if (type.kind == Type::Kind::kList && !name.empty())
    lists.push_back({leaf, path, type.fields[0].type});
  else
    leaves.push_back({leaf, path, type});
}

class ChildLoader {
 public:
  ChildLoader(const TableConfig& config, warehouse::Warehouse& warehouse, warehouse::Session& session,
              const LoadGroup& group, const LoadOptions& options, bool anew, std::vector<OutputColumn> key,
              LoadReport& report)
      : config_(config),
        warehouse_(warehouse),
        session_(session),
        options_(options),
        anew_(anew),
        key_(std::move(key)),
        report_(report) {
    for (const SourceFile& file : group.files) files_ += (files_.empty() ? "" : ", ") + QuoteLiteral(file.path);
  }

  // `rows`: SELECT of root and pid (ids of the table's row and of the row above), quern_f, the key, and the JSON list
  // `l`.
  Result<void> Load(const std::string& name, const std::string& rows, const Type& element, int depth) {
    written_.insert(Lower(name));
    const std::string temp = fmt::format("quern_child{}", depth);
    QUERN_TRY(
        session_.Execute(fmt::format("CREATE OR REPLACE TEMP TABLE {0} AS SELECT * EXCLUDE (l), md5(pid || chr(10) || "
                                     "{1} || chr(10) || i) AS id FROM (SELECT *, "
                                     "unnest(CAST(l AS JSON[])) AS e, generate_subscripts(CAST(l AS JSON[]), 1) - 1 AS "
                                     "i FROM ({2}) WHERE json_type(l) = 'ARRAY')",
                                     temp, QuoteLiteral(name), rows)));
    std::vector<Leaf> leaves;
    std::vector<Leaf> lists;
    Flatten(element, "", "$", leaves, lists);
    for (const Leaf& list : lists) {  // grandchildren first: when the parent's commit is there, all below it are
      const std::string inner = fmt::format("SELECT root, id AS pid, quern_f{}, json_extract(e, {}) AS l FROM {}",
                                            KeyColumns(), QuoteLiteral(list.path), temp);
      QUERN_TRY(Load(name + "__" + list.name, inner, list.type, depth + 1));
    }
    return Write({config_.schema, name}, temp, leaves, !lists.empty());
  }
  // The parent's key, for people who join by it.
  std::string KeyColumns() const {
    std::string names;
    for (const std::string& name : config_.key) names += ", " + QuoteIdentifier("quern_k_" + Lower(name));
    return names;
  }

  // Child tables of which nothing arrived: in a table made anew they are empty.
  Result<void> EmptyOthers() {
    if (!anew_ && config_.mode != Mode::kReplace) return {};
    const std::string prefix = Lower(config_.name) + "__";
    for (const auto& listed : QUERN_TRY(warehouse_.List())) {
      if (!EqualsIgnoreCase(listed.name.schema, config_.schema) || !Lower(listed.name.table).starts_with(prefix) ||
          listed.kind != warehouse::Warehouse::Kind::kTable || written_.contains(Lower(listed.name.table))) {
        continue;
      }
      session_.SetContext(options_.commit);
      QUERN_TRY(session_.Execute("DELETE FROM " + QualifiedName(listed.name.schema, listed.name.table)));
    }
    return {};
  }

 private:
  Result<void> Write(const TableName& name, const std::string& temp, const std::vector<Leaf>& leaves, bool with_id) {
    const bool exists = QUERN_TRY(warehouse_.Exists(name));
    std::vector<TableColumn> existing;
    if (exists && !anew_) {
      const warehouse::TableInfo info = QUERN_TRY(warehouse_.Describe(name));
      for (const engine::Column& column : info.columns) {
        Type type = QUERN_TRY(Type::Parse(column.type, Type::From::kEngine));
        existing.push_back({column.name, std::move(type), true});
      }
    } else if (!exists && config_.contract.tables != Rule::kEvolve && !anew_) {
      if (config_.contract.tables == Rule::kFreeze) {
        return Fail(Error(ErrorCode::kContract,
                          fmt::format("the rows hold lists for a child table {} that does not exist", name.ToString()))
                        .At(config_.pos)
                        .Hint("the contract says tables: freeze"));
      }
      report_.warnings.push_back(
          fmt::format("lists for the child table {} are left out, as the contract says", name.ToString()));
      return {};
    }
    std::vector<OutputColumn> output = {{std::string(kRootColumn), Type::Kind::kVarchar},
                                        {std::string(kParentColumn), Type::Kind::kVarchar},
                                        {std::string(kIndexColumn), Type::Kind::kBigInt}};
    std::string values = "root, pid, i";
    for (const OutputColumn& column : key_) {
      const bool taken = std::any_of(leaves.begin(), leaves.end(),
                                     [&](const Leaf& leaf) { return EqualsIgnoreCase(leaf.name, column.name); });
      if (taken) continue;
      output.push_back({column.name, column.type, true});
      values += ", " + QuoteIdentifier("quern_k_" + Lower(column.name));
    }
    if (with_id) {
      output.push_back({std::string(kIdColumn), Type::Kind::kVarchar});
      values += ", id";
    }
    std::vector<OutputColumn> added;
    bool retype = false;
    for (const Leaf& leaf : leaves) {
      Type type = leaf.type.kind == Type::Kind::kUnknown ? Type(Type::Kind::kVarchar) : leaf.type;
      TableColumn* known = nullptr;
      for (TableColumn& column : existing) {
        if (EqualsIgnoreCase(column.name, leaf.name)) known = &column;
      }
      if (known == nullptr && !existing.empty()) {
        if (config_.contract.columns == Rule::kDiscardValue) continue;
        if (config_.contract.columns != Rule::kEvolve) {
          return Fail(Error(ErrorCode::kContract,
                            fmt::format("the child table {} has no column '{}'", name.ToString(), leaf.name))
                          .At(config_.pos)
                          .Hint(fmt::format("the contract says columns: {}", RuleName(config_.contract.columns))));
        }
        added.push_back({leaf.name, type, true});
      } else if (known != nullptr && !Fits(leaf.type, known->type)) {
        if (config_.contract.data_type == Rule::kEvolve) {
          known->type = Widen(known->type, leaf.type);
          retype = true;
        } else if (config_.contract.data_type != Rule::kDiscardValue) {
          return Fail(Error(ErrorCode::kContract,
                            fmt::format("column '{}' of the child table {} is {}, and {} arrived", leaf.name,
                                        name.ToString(), known->type.ToSql(), leaf.type.ToSql()))
                          .At(config_.pos)
                          .Hint("`contract: {data_type: evolve}` widens it, discard_value makes such values null"));
        }
        type = known->type;
      } else if (known != nullptr) {
        type = known->type;
      }
      ValueSpec spec;
      spec.raw = Raw::kJson;
      spec.raw_type = leaf.type;
      spec.target = type;
      spec.zone = config_.timezone;
      const ValueSql sql =
          MakeValue(spec, leaf.path == "$" ? "e" : fmt::format("json_extract(e, {})", QuoteLiteral(leaf.path)));
      const std::string bad =
          config_.contract.data_type == Rule::kDiscardValue ? "NULL" : "error('a value of a child table does not fit')";
      values += ", " + (sql.ok == "true" ? sql.value
                                         : fmt::format("CASE WHEN {} THEN {} ELSE {} END", sql.ok, sql.value, bad));
      output.push_back({leaf.name, type, true});
    }
    output.push_back({std::string(kFileColumn), Type::Kind::kVarchar, true});
    values += ", quern_f";

    const std::string table = QualifiedName(name.schema, name.table);
    const std::string insert =
        fmt::format("INSERT INTO {} ({}) SELECT {} FROM {}", table, NameList(output), values, temp);
    session_.SetContext(options_.commit);
    QUERN_TRY(session_.Execute("BEGIN TRANSACTION"));
    Result<void> done = [&]() -> Result<void> {
      if (!exists || anew_ || config_.mode == Mode::kReplace) {
        QUERN_TRY(session_.Execute(CreateTableSql(table, output, {}, exists)));
      } else {
        if (retype) QUERN_TRY(Rewrite(table, existing));
        for (const OutputColumn& column : added) {
          QUERN_TRY(session_.Execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, QuoteIdentifier(column.name),
                                                 column.type.ToSql())));
        }
        QUERN_TRY(session_.Execute(fmt::format("DELETE FROM {} WHERE {} IN ({})", table, kFileColumn, files_)));
        if (config_.mode == Mode::kMerge) {
          QUERN_TRY(session_.Execute(fmt::format("DELETE FROM {} WHERE {} IN (SELECT {} FROM {})", table, kRootColumn,
                                                 kIdColumn, TableWriter::kStage)));
        }
      }
      QUERN_TRY(session_.Execute(insert));
      QUERN_TRY(session_.Execute("COMMIT"));
      return {};
    }();
    if (!done) Ignore(session_.Execute("ROLLBACK"), "the failure that led here is the one to tell");
    for (warehouse::Commit& commit : session_.TakeCommits()) {
      if (done) report_.commits.push_back(std::move(commit));
    }
    return done;
  }

  Result<void> Rewrite(const std::string& table, const std::vector<TableColumn>& columns) {
    std::vector<OutputColumn> all;
    std::string select;
    for (const TableColumn& column : columns) {
      all.push_back({column.name, column.type, true});
      const std::string name = QuoteIdentifier(column.name);
      select += fmt::format("{}CAST({} AS {}) AS {}", select.empty() ? "" : ", ", name, column.type.ToSql(), name);
    }
    QUERN_TRY(session_.Execute(
        fmt::format("CREATE OR REPLACE TEMP TABLE quern_rewritten AS SELECT {} FROM {}", select, table)));
    QUERN_TRY(session_.Execute(CreateTableSql(table, all, {}, true)));
    QUERN_TRY(session_.Execute(fmt::format("INSERT INTO {} SELECT * FROM quern_rewritten", table)));
    QUERN_TRY(session_.Execute("DROP TABLE quern_rewritten"));
    return {};
  }

  const TableConfig& config_;
  warehouse::Warehouse& warehouse_;
  warehouse::Session& session_;
  const LoadOptions& options_;
  bool anew_;
  std::vector<OutputColumn> key_;
  LoadReport& report_;
  std::string files_;
  std::set<std::string> written_;
};

}  // namespace

Result<void> LoadChildren(const TableConfig& config, warehouse::Warehouse& warehouse, warehouse::Session& session,
                          const Source& source, const LoadGroup& group, const std::vector<OutputColumn>& columns,
                          const LoadOptions& options, bool anew, LoadReport& report) {
  std::vector<OutputColumn> keys;
  std::string key_select;
  for (const std::string& name : config.key) {
    for (const OutputColumn& column : columns) {
      if (EqualsIgnoreCase(column.name, name)) keys.push_back(column);
    }
    key_select += fmt::format(", {} AS {}", QuoteIdentifier(name), QuoteIdentifier("quern_k_" + Lower(name)));
  }
  ChildLoader loader(config, warehouse, session, group, options, anew, std::move(keys), report);
  std::string last;
  if (config.mode == Mode::kMerge) {
    std::string key;
    for (const std::string& name : config.key) key += (key.empty() ? "" : ", ") + QuoteIdentifier(name);
    last = fmt::format(" WHERE rowid IN (SELECT max(rowid) FROM {} GROUP BY {})", TableWriter::kStage, key);
  }
  for (size_t i = 0; i < source.children().size(); ++i) {
    const ChildList& child = source.children()[i];
    const std::string rows = fmt::format("SELECT {0} AS root, {0} AS pid, quern_f{1}, quern_n{2} AS l FROM {3}{4}",
                                         kIdColumn, key_select, i, TableWriter::kStage, last);
    QUERN_TRY(loader.Load(config.name + "__" + child.name, rows, child.element, 0));
  }
  return loader.EmptyOthers();
}

}  // namespace quern::ingest
