// A training set's record as JSON, and the SQL that reads it again.
#include <fmt/format.h>

#include "base/text.h"
#include "ml/dataset/training_set.h"

namespace quern::ml {
namespace {

Json ColumnJson(const BoundColumn& column) {
  return {{"name", column.name}, {"type", column.type}};
}
BoundColumn ColumnFrom(const Json& json) {
  return {json.at("name").get<std::string>(), json.at("type").get<std::string>()};
}

std::string_view KindText(FeatureKind kind) {
  return kind == FeatureKind::kNumber ? "number" : kind == FeatureKind::kCategory ? "category" : "boolean";
}
FeatureKind KindFrom(const std::string& text) {
  return text == "number" ? FeatureKind::kNumber : text == "category" ? FeatureKind::kCategory : FeatureKind::kBoolean;
}

}  // namespace

Json TrainingSet::ToJson() const {
  Json json = {{"table", table},
               {"version", version},
               {"table_id", table_id},
               {"location", location},
               {"training_set", training_set},
               {"frame",
                {{"name", frame.name},
                 {"from", frame.from ? Json(FormatUtc(*frame.from)) : Json()},
                 {"to", FormatUtc(frame.to)}}},
               {"rows", rows},
               {"time", ColumnJson(time)},
               {"label", ColumnJson(label)},
               {"task", ToString(task)},
               {"digest", digest},
               {"query", query},
               {"sources", sources},
               {"views", views},
               {"git_commit", git_commit},
               {"git_dirty", git_dirty},
               {"warnings", warnings}};
  json["key"] = Json::array();
  for (const auto& column : key) json["key"].push_back(ColumnJson(column));
  json["features"] = Json::array();
  for (const auto& feature : features) {
    Json entry = ColumnJson(feature);
    entry["kind"] = KindText(feature.kind);
    entry["source_column"] = feature.source_column;
    if (feature.join) entry["join"] = *feature.join;
    json["features"].push_back(std::move(entry));
  }
  return json;
}

Result<TrainingSet> TrainingSet::FromJson(const Json& json) {
  try {
    TrainingSet set;
    json.at("table").get_to(set.table);
    json.at("version").get_to(set.version);
    json.at("table_id").get_to(set.table_id);
    json.at("location").get_to(set.location);
    json.at("training_set").get_to(set.training_set);
    const Json& frame = json.at("frame");
    frame.at("name").get_to(set.frame.name);
    if (!frame.at("from").is_null())
      set.frame.from = QUERN_TRY(ParseTimestamp(frame.at("from").get<std::string>(), TimeZone::Utc()));
    set.frame.to = QUERN_TRY(ParseTimestamp(frame.at("to").get<std::string>(), TimeZone::Utc()));
    json.at("rows").get_to(set.rows);
    set.time = ColumnFrom(json.at("time"));
    set.label = ColumnFrom(json.at("label"));
    for (const auto& column : json.at("key")) set.key.push_back(ColumnFrom(column));
    for (const auto& entry : json.at("features")) {
      BoundFeature feature;
      static_cast<BoundColumn&>(feature) = ColumnFrom(entry);
      feature.kind = KindFrom(entry.at("kind").get<std::string>());
      feature.source_column = entry.value("source_column", feature.name);
      if (entry.contains("join")) feature.join = entry.at("join").get<size_t>();
      set.features.push_back(std::move(feature));
    }
    const auto task = ParseTaskType(json.at("task").get<std::string>());
    if (!task) return Fail(ErrorCode::kCorrupt, "a training set's record names an unknown task");
    set.task = *task;
    json.at("digest").get_to(set.digest);
    json.at("query").get_to(set.query);
    json.at("sources").get_to(set.sources);
    json.at("views").get_to(set.views);
    json.at("git_commit").get_to(set.git_commit);
    json.at("git_dirty").get_to(set.git_dirty);
    json.at("warnings").get_to(set.warnings);
    return set;
  } catch (const Json::exception& e) {
    return Fail(ErrorCode::kCorrupt, fmt::format("a training set's record cannot be read: {}", e.what()));
  }
}

std::string TrainingSet::ReadSql() const {
  std::vector<std::string> columns, order;
  for (const auto& column : key) order.push_back(QuoteIdentifier(column.name));
  order.push_back(QuoteIdentifier(time.name));
  columns = order;
  for (const auto& feature : features) columns.push_back(QuoteIdentifier(feature.name));
  columns.push_back(QuoteIdentifier(label.name));
  const auto parts = Split(table, '.');
  return fmt::format("SELECT {} FROM {}.{} AT (VERSION => {}) WHERE \"training_set\" = {} ORDER BY {}",
                     Join(columns, ", "), QuoteIdentifier(parts[0]), QuoteIdentifier(parts.back()), version,
                     QuoteLiteral(training_set), Join(order, ", "));
}

}  // namespace quern::ml
