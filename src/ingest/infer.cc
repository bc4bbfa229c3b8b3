#include "ingest/infer.h"

#include <fmt/format.h>

#include "base/text.h"

namespace quern::ingest {
namespace {

int64_t Number(const engine::Value& value) {
  if (const auto* n = std::get_if<int64_t>(&value)) return *n;
  return engine::IsNull(value) ? 0 : std::strtoll(engine::ToText(value).c_str(), nullptr, 10);
}

bool Guessed(const PlannedColumn& column) {
  return column.source >= 0 && column.inferred && !column.fixed() && !column.exists;
}

}  // namespace

ValueSpec SpecOf(const TableConfig& config, const SourceColumn& source, const PlannedColumn& column) {
  ValueSpec spec;
  spec.raw = source.raw;
  spec.raw_type = source.type;
  spec.raw_sql_type = source.sql_type;
  spec.target = column.type;
  spec.inferred = column.inferred;
  spec.guessed = column.exists && !column.fixed();
  spec.nullable = column.nullable;
  spec.zone = config.timezone;
  if (column.config != nullptr) {
    spec.format = column.config->format;
    if (column.config->timezone)
      spec.zone = *column.config->timezone;
    else if (spec.format.ends_with('Z'))
      spec.zone = TimeZone::Utc();  // a literal Z says UTC
  }
  return spec;
}

Result<void> InferTypes(const TableConfig& config, const Source& source, engine::Connection& connection, int64_t sample,
                        SchemaPlan& plan) {
  struct Question {
    PlannedColumn* column;
    std::vector<Type> candidates;
    size_t at;  // of its count of values; the candidates' counts of misfits follow
  };
  std::vector<Question> questions;
  std::string select;
  size_t count = 0;
  for (PlannedColumn& column : plan.columns) {
    if (!Guessed(column)) continue;
    const SourceColumn& from = source.columns()[static_cast<size_t>(column.source)];
    if (from.raw == Raw::kTyped || (from.raw == Raw::kJson && from.type.nested())) continue;
    const bool text_only = from.raw == Raw::kJson && from.type.kind == Type::Kind::kVarchar;
    Question question{&column, Candidates(text_only), count++};
    const std::string name = fmt::format("quern_c{}", column.source);
    select += fmt::format("{}count({})", select.empty() ? "" : ", ", name);
    ValueSpec spec = SpecOf(config, from, column);
    spec.inferred = true;
    spec.nullable = true;
    for (const Type& candidate : question.candidates) {
      spec.target = candidate;
      const std::string ok = MakeValue(spec, name).ok;
      // A sequence of casts over every value is what inference costs: one that already failed often is not worth a
      // guess, but SQL aggregates cannot stop early.
      select += ok == "true" ? ", 0" : fmt::format(", count_if(NOT {})", ok);
      ++count;
    }
    questions.push_back(std::move(question));
  }
  if (questions.empty()) return {};
  std::string from = source.Sql();
  if (sample > 0) from = fmt::format("SELECT * FROM ({}) LIMIT {}", from, sample);
  const auto answer = QUERN_TRY(connection.Execute(fmt::format("SELECT {} FROM ({})", select, from)));
  for (const Question& question : questions) {
    const auto& row = answer.rows.at(0);
    question.column->inferred = true;
    if (Number(row[question.at]) == 0) {
      question.column->type = sample > 0 ? Type() : Type(Type::Kind::kVarchar);
      continue;
    }
    for (size_t i = 0; i < question.candidates.size(); ++i) {
      if (Number(row[question.at + 1 + i]) != 0) continue;
      question.column->type = question.candidates[i];
      break;
    }
  }
  return {};
}

Result<std::optional<Type>> WiderType(const TableConfig& config, const Source& source, engine::Connection& connection,
                                      const PlannedColumn& column, const std::string& table) {
  const SourceColumn& from = source.columns()[static_cast<size_t>(column.source)];
  std::vector<Type> candidates = WiderTypes(column.type);
  if (from.raw == Raw::kTyped) candidates = {Widen(column.type, from.type), Type(Type::Kind::kVarchar)};
  for (const Type& candidate : candidates) {
    if (candidate == column.type) continue;
    ValueSpec spec = SpecOf(config, from, column);
    spec.target = candidate;
    spec.inferred = from.raw != Raw::kTyped;
    const std::string ok = MakeValue(spec, fmt::format("quern_c{}", column.source)).ok;
    if (ok != "true") {
      const auto misfits =
          QUERN_TRY(connection.Execute(fmt::format("SELECT count(*) FROM ({}) WHERE NOT {}", source.Sql(), ok)));
      if (Number(misfits.rows.at(0)[0]) != 0) continue;
    }
    if (column.exists && column.type.kind == Type::Kind::kBigInt && candidate.kind == Type::Kind::kDouble) {
      // Whole numbers past 2^53 would change.
      const auto large = QUERN_TRY(connection.Execute(
          fmt::format("SELECT count(*) FROM {} WHERE {} NOT BETWEEN -9007199254740992 AND 9007199254740992", table,
                      QuoteIdentifier(column.name))));
      if (Number(large.rows.at(0)[0]) != 0) continue;
    }
    return std::optional<Type>(candidate);
  }
  return std::optional<Type>();
}

}  // namespace quern::ingest
