#include "ml/dataset/query.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace quern::ml {
namespace {

std::string UtcText(Timestamp t) {
  return FormatTime(TimeZone::Utc().ToLocal(t), "%Y-%m-%d %H:%M:%S.%f");
}
std::string InstantLiteral(Timestamp t) {
  return fmt::format("TIMESTAMPTZ '{}+00'", UtcText(t));
}

// The first day that begins at or after a moment: a day is in a frame when its first moment is.
std::string FirstDayLiteral(Timestamp t, const TimeZone& zone) {
  auto day = std::chrono::floor<std::chrono::days>(zone.ToLocal(t));
  if (zone.ToUtc(LocalTime(day)) < t) day += std::chrono::days(1);
  return fmt::format("DATE '{}'", FormatDate(LocalTime(day)));
}

std::string Literal(TimeKind kind, Timestamp t, const TimeZone& zone) {
  switch (kind) {
    case TimeKind::kDate:
      return FirstDayLiteral(t, zone);
    case TimeKind::kInstant:
      return InstantLiteral(t);
    case TimeKind::kUtc:
      return fmt::format("TIMESTAMP '{}'", UtcText(t));
  }
  return "";
}

std::string AsInstant(const std::string& sql, TimeKind kind, const TimeZone& zone) {
  switch (kind) {
    case TimeKind::kDate:
      return fmt::format("timezone({}, CAST({} AS TIMESTAMP))", QuoteLiteral(zone.name()), sql);
    case TimeKind::kInstant:
      return sql;
    case TimeKind::kUtc:
      return fmt::format("timezone('UTC', {})", sql);
  }
  return sql;
}

// A moment as the clock shows it that its days are counted by.
std::string AsLocal(const std::string& sql, TimeKind kind, const TimeZone& zone) {
  switch (kind) {
    case TimeKind::kDate:
      return fmt::format("CAST({} AS TIMESTAMP)", sql);
    case TimeKind::kInstant:
      return fmt::format("timezone({}, {})", QuoteLiteral(zone.name()), sql);
    case TimeKind::kUtc:
      return sql;
  }
  return sql;
}

std::string IntervalLiteral(const Span& span) {
  return fmt::format("INTERVAL '{} months {} days {} microseconds'", span.months, span.days, span.time.count());
}

std::string SourceSql(const DatasetConfig& dataset, const QueryOptions& options) {
  if (dataset.from) return QuoteIdentifier(dataset.from->schema) + "." + QuoteIdentifier(dataset.from->table);
  return "(\n" + BindInterval(dataset.query, options.interval) + "\n)";
}

// A label that is no number is no label.
std::string LabelKnown(const BoundDataset& bound, const std::string& alias) {
  const std::string column = alias + QuoteIdentifier(bound.label.name);
  std::string sql = column + " IS NOT NULL";
  if (bound.label.type == "DOUBLE") sql += fmt::format(" AND NOT isnan(CAST({} AS DOUBLE))", column);
  return sql;
}

// A moment of validity in the terms of the time column, so that only the joined table's rows are converted, which are
// few: for days the first one that begins at or after the moment.
std::string InTermsOf(TimeKind time, const std::string& sql, TimeKind kind, const TimeZone& zone) {
  if (kind == time) return sql;
  const std::string instant = AsInstant(sql, kind, zone);
  if (time == TimeKind::kInstant) return instant;
  if (time == TimeKind::kUtc) return fmt::format("timezone('UTC', {})", instant);
  const std::string day = fmt::format("CAST({} AS DATE)", AsLocal(instant, TimeKind::kInstant, zone));
  return fmt::format("CASE WHEN {} >= {} THEN {} ELSE {} + 1 END", AsInstant(day, TimeKind::kDate, zone), instant, day,
                     day);
}

/// One join: the relation to look into, the condition, and how its columns are taken.
struct JoinSql {
  std::string relation;
  std::string condition;
  std::string valid;  // whether the row found still holds; "" when it always does
};

JoinSql MakeJoin(const ModelConfig& model, const BoundDataset& bound, size_t index, const TimeFrame& frame,
                 const QueryOptions& options) {
  const JoinConfig& join = model.dataset.joins[index];
  const BoundJoin& kinds = bound.joins[index];
  const TimeZone& zone = options.zone;
  const std::string alias = fmt::format("j{}", index + 1);
  const std::string from = QuoteIdentifier(join.valid_from.name);
  const std::string time = "s." + QuoteIdentifier(bound.time.name);

  JoinSql out;
  std::vector<std::string> taken, order;
  for (const auto& on : join.on) {
    const std::string name = QuoteIdentifier(on.right);
    if (std::find(taken.begin(), taken.end(), name) == taken.end()) taken.push_back(name);
    out.condition +=
        fmt::format("{}s.{} = {}.{}", out.condition.empty() ? "" : " AND ", QuoteIdentifier(on.left), alias, name);
  }
  std::vector<std::string> columns = taken;
  for (const auto& feature : bound.features) {
    if (feature.join != index) continue;
    const std::string name = QuoteIdentifier(feature.source_column);
    if (std::find(columns.begin(), columns.end(), name) != columns.end()) continue;
    columns.push_back(name);
    order.push_back(name + " DESC NULLS LAST");
  }
  std::string where = fmt::format("{} IS NOT NULL AND {} < {}", from, from, Literal(kinds.valid_from, frame.to, zone));
  columns.push_back(InTermsOf(bound.time_kind, from, kinds.valid_from, zone) + " AS quern_from");
  if (join.valid_to) {
    const std::string to = QuoteIdentifier(join.valid_to->name);
    columns.push_back(InTermsOf(bound.time_kind, to, *kinds.valid_to, zone) + " AS quern_to");
    order.insert(order.begin(), to + " DESC NULLS FIRST");
    // What ends before it begins never held.
    const bool like = *kinds.valid_to == kinds.valid_from;
    where += fmt::format(" AND ({} IS NULL OR {} > {})", to, like ? to : AsInstant(to, *kinds.valid_to, zone),
                         like ? from : AsInstant(from, kinds.valid_from, zone));
    out.valid = fmt::format("({0}.quern_to IS NULL OR {1} < {0}.quern_to)", alias, time);
  }
  if (join.ttl) {
    // The oldest moment that counts, as the clock shows it that days are counted by.
    std::string oldest = fmt::format("{} - {}", AsLocal(time, bound.time_kind, zone), IntervalLiteral(*join.ttl));
    if (bound.time_kind == TimeKind::kDate) {
      columns.push_back(AsLocal(AsInstant(from, kinds.valid_from, zone), TimeKind::kInstant, zone) + " AS quern_since");
      out.valid += fmt::format("{}{}.quern_since >= {}", out.valid.empty() ? "" : " AND ", alias, oldest);
    } else {
      if (bound.time_kind == TimeKind::kInstant)
        oldest = fmt::format("timezone({}, {})", QuoteLiteral(zone.name()), oldest);
      out.valid += fmt::format("{}{}.quern_from >= {}", out.valid.empty() ? "" : " AND ", alias, oldest);
    }
  }
  // Of several rows that begin at one moment the one that holds longest counts, then the largest: always the same one.
  // Moments of one day are told apart by the time of day.
  order.insert(order.begin(), from + " DESC");
  out.relation = fmt::format(
      "(SELECT {} FROM {}.{} WHERE {} QUALIFY row_number() OVER (PARTITION BY {}, quern_from ORDER BY {}) = 1)",
      Join(columns, ", "), QuoteIdentifier(join.table.schema), QuoteIdentifier(join.table.table), where,
      Join(taken, ", "), Join(order, ", "));
  out.condition += fmt::format(" AND {} >= {}.quern_from", time, alias);
  return out;
}

std::string FeatureSql(const BoundFeature& feature, const std::vector<JoinSql>& joins) {
  std::string sql = feature.join ? fmt::format("j{}.{}", *feature.join + 1, QuoteIdentifier(feature.source_column))
                                 : "s." + QuoteIdentifier(feature.source_column);
  sql = fmt::format("CAST({} AS {})", sql, feature.type);
  if (feature.type == "DOUBLE") sql = fmt::format("nullif({}, CAST('NaN' AS DOUBLE))", sql);
  if (feature.join && !joins[*feature.join].valid.empty())
    sql = fmt::format("CASE WHEN {} THEN {} END", joins[*feature.join].valid, sql);
  return sql;
}

}  // namespace

std::string InFrameSql(const std::string& column, TimeKind kind, const TimeFrame& frame, const TimeZone& zone) {
  std::string sql = fmt::format("{} < {}", column, Literal(kind, frame.to, zone));
  if (frame.from) sql = fmt::format("{} >= {} AND {}", column, Literal(kind, *frame.from, zone), sql);
  return sql;
}

std::string BindInterval(std::string_view sql, const Interval& interval) {
  std::string out;
  size_t i = 0;
  auto copy_to = [&](size_t end) {
    end = std::min(end, sql.size());
    out += sql.substr(i, end - i);
    i = end;
  };
  while (i < sql.size()) {
    const char c = sql[i];
    if (c == '\'' || c == '"') {
      const size_t end = sql.find(c, i + 1);  // a doubled quote begins another one: the same outcome
      copy_to(end == std::string_view::npos ? sql.size() : end + 1);
    } else if (sql.substr(i, 2) == "--") {
      copy_to(sql.find('\n', i));
    } else if (sql.substr(i, 2) == "/*") {
      const size_t end = sql.find("*/", i + 2);
      copy_to(end == std::string_view::npos ? sql.size() : end + 2);
    } else if (c == '$') {
      size_t end = i + 1;
      while (end < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[end])) || sql[end] == '_')) ++end;
      const std::string name = Lower(sql.substr(i, end - i));
      if (name == "$interval_start" || name == "$interval_end") {
        out += InstantLiteral(name == "$interval_start" ? interval.start : interval.end);
        i = end;
      } else {
        copy_to(end);
      }
    } else {
      copy_to(i + 1);
    }
  }
  return out;
}

std::string DatasetQuery(const ModelConfig& model, const BoundDataset& bound, const TimeFrame& frame,
                         const QueryOptions& options) {
  const bool labeled = options.rows == Rows::kLabeled;
  std::vector<JoinSql> joins;
  for (size_t i = 0; i < model.dataset.joins.size(); ++i) {
    const bool used = std::any_of(bound.features.begin(), bound.features.end(),
                                  [&](const BoundFeature& feature) { return feature.join == i; });
    joins.push_back(used ? MakeJoin(model, bound, i, frame, options) : JoinSql());
  }
  std::string sql = "SELECT";
  std::vector<std::string> order;
  const char* separator = "\n  ";
  auto add = [&](const std::string& expression, const std::string& name) {
    sql += fmt::format("{}{} AS {}", separator, expression, QuoteIdentifier(name));
    separator = ",\n  ";
  };
  for (const auto& key : bound.key) {
    add(fmt::format("CAST(s.{} AS {})", QuoteIdentifier(key.name), key.type), key.name);
    order.push_back(QuoteIdentifier(key.name));
  }
  add(fmt::format("CAST(s.{} AS {})", QuoteIdentifier(bound.time.name), bound.time.type), bound.time.name);
  order.push_back(QuoteIdentifier(bound.time.name));
  for (const auto& feature : bound.features) add(FeatureSql(feature, joins), feature.name);
  if (labeled)
    add(fmt::format("CAST(s.{} AS {})", QuoteIdentifier(bound.label.name), bound.label.type), bound.label.name);

  sql += fmt::format("\nFROM (\nSELECT * FROM {} AS source\nWHERE {}", SourceSql(model.dataset, options),
                     InFrameSql("source." + QuoteIdentifier(bound.time.name), bound.time_kind, frame, options.zone));
  if (labeled) sql += " AND " + LabelKnown(bound, "source.");
  sql += "\n) AS s";
  for (size_t i = 0; i < joins.size(); ++i) {
    if (joins[i].relation.empty()) continue;
    sql += fmt::format("\nASOF LEFT JOIN {} AS j{}\n  ON {}", joins[i].relation, i + 1, joins[i].condition);
  }
  if (options.ordered) sql += "\nORDER BY " + Join(order, ", ");
  return sql;
}

Result<std::optional<Timestamp>> FirstLabeledTime(const ModelConfig& model, const BoundDataset& bound,
                                                  const QueryOptions& options, engine::Connection& connection) {
  const std::string time = QuoteIdentifier(bound.time.name);
  auto result = QUERN_TRY(connection.Execute(fmt::format(
      "SELECT epoch_us({}) FROM (SELECT min({}) AS t FROM {} AS source WHERE {})",
      AsInstant("t", bound.time_kind, options.zone), time, SourceSql(model.dataset, options), LabelKnown(bound, ""))));
  if (result.rows.empty() || engine::IsNull(result.rows[0][0])) return std::optional<Timestamp>();
  return std::optional(FromMicros(std::get<int64_t>(result.rows[0][0])));
}

}  // namespace quern::ml
