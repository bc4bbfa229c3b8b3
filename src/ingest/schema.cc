#include "ingest/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace quern::ingest {
namespace {

Error Broken(const TableConfig& config, const std::string& file, std::string message) {
  return Error(ErrorCode::kContract, std::move(message)).At({file, 1}).With("table", config.schema + "." + config.name);
}

// The type that a column of a new table gets from what the files say; kUnknown when values must be looked at.
Type TypeOfSource(const SourceColumn& source) {
  if (source.raw == Raw::kText) return {};
  if (source.raw == Raw::kJson) return source.type.nested() ? source.type : Type();
  return source.type.kind == Type::Kind::kTimestampNtz ? Type(Type::Kind::kTimestamp) : source.type;
}

class Planner {
 public:
  Planner(const TableConfig& config, const std::optional<std::vector<TableColumn>>& existing,
          const std::vector<SourceColumn>& sources, const std::string& file)
      : config_(config), existing_(existing), sources_(sources), file_(file) {}

  Result<SchemaPlan> Plan() {
    std::map<std::string, int> by_target;  // the source of each target name
    for (size_t i = 0; i < sources_.size(); ++i) {
      const std::string target = TargetName(sources_[i]);
      if (Lower(target).starts_with("_quern_")) {
        return Fail(
            Broken(config_, file_, fmt::format("the column '{}' of the files has a name of Quern's own", target))
                .Hint(fmt::format("rename it: columns: [{{name: ..., source: {}}}]", sources_[i].name)));
      }
      if (!by_target.emplace(Lower(target), static_cast<int>(i)).second) {
        return Fail(Broken(config_, file_, fmt::format("two columns of the files become the column '{}'", target))
                        .Hint("names are compared without case; give one of them another name under `columns`"));
      }
    }
    if (existing_) {
      for (const TableColumn& column : *existing_) QUERN_TRY(Existing(column, by_target));
    }
    for (size_t i = 0; i < sources_.size(); ++i) QUERN_TRY(Arriving(static_cast<int>(i)));
    for (const ColumnConfig& column : config_.columns) QUERN_TRY(Declared(column));
    QUERN_TRY(CheckNames("key", config_.key));
    QUERN_TRY(CheckNames("partition_by", config_.partition_by));
    return std::move(plan_);
  }

 private:
  std::string TargetName(const SourceColumn& source) const {
    const ColumnConfig* declared = config_.FindSource(source.name);
    return declared != nullptr ? declared->name : source.name;
  }
  bool InKey(std::string_view name) const {
    if (config_.mode != Mode::kMerge && config_.mode != Mode::kHistory) return false;
    return std::any_of(config_.key.begin(), config_.key.end(),
                       [&](const auto& k) { return EqualsIgnoreCase(k, name); });
  }
  void Remember(PlannedColumn column) {
    done_.insert(Lower(column.name));
    plan_.columns.push_back(std::move(column));
  }
  PlannedColumn Make(const std::string& name, int source) const {
    PlannedColumn column;
    column.name = name;
    column.source = source;
    column.config = config_.FindColumn(name);
    column.nullable = !(column.config != nullptr && !column.config->nullable) && !InKey(name);
    return column;
  }

  // A column that all files, or some, do not have.
  Result<void> Missing(const PlannedColumn& column, const std::string& where) {
    const bool may_lack = column.config != nullptr && column.config->optional;
    const bool declared = column.config != nullptr;
    const bool json = config_.format == Format::kJsonLines;
    if (!column.nullable) {
      std::vector<std::string> names;
      for (const SourceColumn& source : sources_) names.push_back(source.name);
      return Fail(
          Broken(config_, where, fmt::format("the file has no column '{}', which may not be null", SourceName(column)))
              .Hint(DidYouMean(SourceName(column), names)));
    }
    if (may_lack || json) return {};
    if (declared || config_.contract.columns == Rule::kFreeze) {
      std::vector<std::string> names;
      for (const SourceColumn& source : sources_) names.push_back(source.name);
      std::string hint = DidYouMean(SourceName(column), names);
      if (hint.empty()) hint = declared ? "`optional: true` lets files lack it" : "the contract says columns: freeze";
      return Fail(Broken(config_, where, fmt::format("the file has no column '{}'", SourceName(column))).Hint(hint));
    }
    plan_.notes.push_back(fmt::format("{} has no column '{}': nulls are written", where, column.name));
    return {};
  }
  static std::string SourceName(const PlannedColumn& column) {
    return column.config != nullptr && !column.config->source.empty() ? column.config->source : column.name;
  }

  Result<void> Existing(const TableColumn& table, const std::map<std::string, int>& by_target) {
    const auto found = by_target.find(Lower(table.name));
    PlannedColumn column = Make(table.name, found == by_target.end() ? -1 : found->second);
    column.exists = true;
    column.type = table.type;
    if (column.fixed() && !(*column.config->type == table.type)) {
      if (!Fits(table.type, *column.config->type)) {
        return Fail(
            Error(ErrorCode::kContract, fmt::format("column '{}' is declared {}, and the table has it as {}",
                                                    column.name, column.config->type->ToSql(), table.type.ToSql()))
                .At(column.config->pos)
                .Hint("--full-refresh makes the table anew from all files"));
      }
      column.was = table.type;
      column.type = *column.config->type;
    }
    if (column.config != nullptr && !column.config->expression.empty()) {
      column.source = -1;
    } else if (column.source < 0) {
      QUERN_TRY(Missing(column, file_));
    } else {
      const SourceColumn& source = sources_[static_cast<size_t>(column.source)];
      if (!source.missing_in.empty()) QUERN_TRY(Missing(column, source.missing_in));
      QUERN_TRY(FitNested(column, source));
    }
    Remember(std::move(column));
    return {};
  }

  // What the contract says when nested data does not fit its column as a whole.
  Result<void> FitNested(PlannedColumn& column, const SourceColumn& source) {
    if (source.raw == Raw::kText || (!source.type.nested() && !column.type.nested())) return {};
    if (Fits(source.type, column.type)) return {};
    const std::vector<std::string> fields = NewFields(source.type, column.type);
    if (!fields.empty()) {
      switch (column.fixed() && config_.contract.columns == Rule::kEvolve ? Rule::kFreeze : config_.contract.columns) {
        case Rule::kFreeze:
          return Fail(Broken(config_, file_,
                             fmt::format("'{}' has a field '{}' that the table does not have", column.name, fields[0]))
                          .Hint(column.fixed() ? "its type is declared: add the field there"
                                               : "the contract says columns: freeze"));
        case Rule::kDiscardValue:
          column.drop_new_fields = true;
          break;
        case Rule::kDiscardRow:
          break;
        case Rule::kEvolve:
          Evolve(column, Widen(column.type, Keep(source.type, column.type)));
          break;
      }
    }
    const Type rest = WithoutNewFields(source.type, column.type);
    if (!Fits(rest, column.type) && config_.contract.data_type == Rule::kEvolve && !column.fixed()) {
      Evolve(column, Widen(column.type, rest));
    }
    return {};
  }
  // The table's own types with the new fields of `from`.
  static Type Keep(const Type& from, const Type& to) {
    if (from.kind != to.kind) return to;
    if (from.kind == Type::Kind::kList) return Type::List(Keep(from.fields[0].type, to.fields[0].type));
    if (from.kind != Type::Kind::kStruct) return to;
    Type out = to;
    for (const Type::Field& field : from.fields) {
      auto it = std::find_if(out.fields.begin(), out.fields.end(),
                             [&](const auto& f) { return EqualsIgnoreCase(f.name, field.name); });
      if (it == out.fields.end())
        out.fields.push_back(field);
      else
        it->type = Keep(field.type, it->type);
    }
    return out;
  }
  void Evolve(PlannedColumn& column, Type wider) {
    if (column.exists && !column.was) column.was = column.type;
    plan_.notes.push_back(fmt::format("column '{}' becomes {}", column.name, wider.ToSql()));
    column.type = std::move(wider);
  }

  Result<void> Arriving(int index) {
    const SourceColumn& source = sources_[static_cast<size_t>(index)];
    const std::string name = TargetName(source);
    if (done_.contains(Lower(name))) return {};
    PlannedColumn column = Make(name, index);
    if (column.config != nullptr && !column.config->expression.empty()) {
      return Fail(Broken(config_, file_, fmt::format("the files have a column '{}', which is computed", name)));
    }
    if (existing_ && column.config == nullptr) {
      switch (config_.contract.columns) {
        case Rule::kFreeze: {
          std::vector<std::string> names;
          for (const TableColumn& table : *existing_) names.push_back(table.name);
          std::string hint = DidYouMean(name, names);
          return Fail(
              Broken(config_, file_, fmt::format("the file has a column '{}' that the table does not have", name))
                  .Hint(hint.empty() ? "the contract says columns: freeze" : hint));
        }
        case Rule::kDiscardValue:
          plan_.notes.push_back(fmt::format("the new column '{}' is left out", name));
          return {};
        case Rule::kDiscardRow:
          plan_.unwanted.push_back(index);
          return {};
        case Rule::kEvolve:
          plan_.notes.push_back(fmt::format("new column '{}'", name));
          break;
      }
    }
    if (column.config != nullptr && !source.missing_in.empty()) QUERN_TRY(Missing(column, source.missing_in));
    if (column.config == nullptr && !source.missing_in.empty() && !column.nullable)
      QUERN_TRY(Missing(column, source.missing_in));
    if (column.fixed()) {
      column.type = *column.config->type;
      QUERN_TRY(FitNested(column, source));
    } else {
      column.type = TypeOfSource(source);
      column.inferred = true;
    }
    Remember(std::move(column));
    return {};
  }

  Result<void> Declared(const ColumnConfig& declared) {
    if (done_.contains(Lower(declared.name))) return {};
    PlannedColumn column = Make(declared.name, -1);
    if (declared.type) column.type = *declared.type;
    if (declared.expression.empty()) QUERN_TRY(Missing(column, file_));
    if (!declared.type) return {};  // an optional column of which nothing is known yet
    Remember(std::move(column));
    return {};
  }

  Result<void> CheckNames(std::string_view what, const std::vector<std::string>& names) {
    std::vector<std::string> known;
    for (const PlannedColumn& column : plan_.columns) known.push_back(column.name);
    for (const std::string& name : names) {
      if (done_.contains(Lower(name))) continue;
      std::string hint = DidYouMean(name, known);
      if (hint.empty()) hint = "the columns are " + Join(known, ", ");
      return Fail(Error(ErrorCode::kContract, fmt::format("{} names the column '{}', which the files of {} do not have",
                                                          what, name, config_.name))
                      .At(config_.pos)
                      .Hint(hint));
    }
    return {};
  }

  const TableConfig& config_;
  const std::optional<std::vector<TableColumn>>& existing_;
  const std::vector<SourceColumn>& sources_;
  const std::string& file_;
  SchemaPlan plan_;
  std::set<std::string> done_;
};

}  // namespace

bool SchemaPlan::changes_table() const {
  return std::any_of(columns.begin(), columns.end(), [](const PlannedColumn& c) { return !c.exists || c.was; });
}

Result<SchemaPlan> PlanSchema(const TableConfig& config, const std::optional<std::vector<TableColumn>>& existing,
                              const std::vector<SourceColumn>& sources, const std::string& file) {
  return Planner(config, existing, sources, file).Plan();
}

Type WithoutNewFields(const Type& from, const Type& to) {
  if (from.kind != to.kind || (from.kind != Type::Kind::kStruct && from.kind != Type::Kind::kList)) return from;
  if (from.kind == Type::Kind::kList) return Type::List(WithoutNewFields(from.fields[0].type, to.fields[0].type));
  Type out(Type::Kind::kStruct);
  for (const Type::Field& field : from.fields) {
    for (const Type::Field& other : to.fields) {
      if (EqualsIgnoreCase(field.name, other.name))
        out.fields.push_back({field.name, WithoutNewFields(field.type, other.type)});
    }
  }
  return out;
}

}  // namespace quern::ingest
