// The section `dataset` of a model.
#include "base/text.h"
#include "ml/config_reader.h"

namespace quern::ml {
namespace {

void ReadOn(const Yaml& node, JoinConfig& join, const ConfigReader& reader) {
  auto add = [&](const Yaml& left, const Yaml& right) {
    if (left.is_scalar() && right.is_scalar() && !left.text().empty() && !right.text().empty()) {
      join.on.push_back({left.text(), right.text(), right.pos()});
    } else {
      reader.Report(right.pos(), "'on' must be names of columns, or {left: right}", "", ErrorCode::kWrongType);
    }
  };
  if (node.is_scalar()) add(node, node);
  for (const auto& item : node.items()) {
    if (item.is_mapping()) {
      for (const auto& [left, right] : item.entries()) add(left, right);
    } else {
      add(item, item);
    }
  }
  for (const auto& [left, right] : node.entries()) add(left, right);
}

JoinConfig ReadJoin(const Yaml& node, const std::string& model, const ConfigReader& reader) {
  JoinConfig out;
  out.pos = node.pos();
  const std::string what = fmt::format("a join of {}", model);
  YamlMap map(node, what, reader.diagnostics);
  map.RequiredString("table");
  if (const Yaml* table = map.Get("table")) {
    if (auto name = reader.Table(*table)) out.table = *name;
  }
  if (const Yaml* on = map.Get("on")) {
    ReadOn(*on, out, reader);
  } else if (node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("{} needs 'on'", what),
                  "name the columns that must be equal, such as on: [customer_id]", ErrorCode::kMissingKey);
  }
  out.valid_from = {map.RequiredString("valid_from"), map.PosOf("valid_from")};
  if (auto to = map.String("valid_to")) out.valid_to = {*to, map.PosOf("valid_to")};
  if (const Yaml* ttl = map.Get("ttl")) out.ttl = reader.PositiveSpan(*ttl, "ttl");
  const Yaml* columns = map.Get("columns");
  if (columns && columns->is_mapping()) {
    for (const auto& [from, as] : columns->entries()) {
      if (as.is_scalar() && !as.text().empty()) {
        out.columns.push_back({from.text(), as.text(), from.pos()});
      } else {
        reader.Report(as.pos(), fmt::format("the name of column '{}' must be a text", from.text()), "",
                      ErrorCode::kWrongType);
      }
    }
  } else {
    for (const auto& name : reader.Names(map, "columns", what)) out.columns.push_back({name.name, name.name, name.pos});
  }
  if (out.columns.empty() && node.is_mapping()) {
    reader.Report(columns ? columns->pos() : node.pos(), fmt::format("{} needs 'columns'", what),
                  "a list of the columns to take, or {column: name in the dataset}", ErrorCode::kMissingKey);
  }
  map.Finish();
  return out;
}

void CheckNames(const DatasetConfig& dataset, const std::string& model, const ConfigReader& reader) {
  std::vector<std::string> features;
  for (const auto& feature : dataset.features) features.push_back(feature.name);
  auto is = [](const Named& named, std::string_view name) { return EqualsIgnoreCase(named.name, name); };
  auto clash = [&](const Named& named, const std::string& role) {
    for (const auto& feature : dataset.features) {
      if (is(feature, named.name))
        reader.Report(feature.pos,
                      fmt::format("'{}' is the {} of {}, it cannot be a feature too", named.name, role, model),
                      role == "label" ? "a model that sees the label learns nothing else"
                                      : "give a feature a name of its own in the dataset's source");
    }
  };
  clash(dataset.label, "label");
  clash(dataset.time, "time column");
  for (const auto& key : dataset.key) {
    clash(key, "key");
    if (is(dataset.label, key.name))
      reader.Report(key.pos, fmt::format("'{}' is both key and label of {}", key.name, model));
  }
  if (!dataset.label.name.empty() && is(dataset.label, dataset.time.name))
    reader.Report(dataset.label.pos, fmt::format("'{}' is both time and label of {}", dataset.label.name, model));
  for (const auto& categorical : dataset.categorical) {
    if (features.empty()) break;
    bool found = false;
    for (const auto& feature : dataset.features) found |= is(feature, categorical.name);
    for (const auto& join : dataset.joins) {
      for (const auto& column : join.columns) {
        found |= is(categorical, column.as);
        features.push_back(column.as);
      }
    }
    if (!found)
      reader.Report(categorical.pos,
                    fmt::format("'categorical' of {} names '{}', which is no feature", model, categorical.name),
                    DidYouMean(categorical.name, features));
  }
  std::vector<Named> joined;
  for (const auto& join : dataset.joins) {
    for (const auto& column : join.columns) {
      for (const auto& other : joined) {
        if (is(other, column.as))
          reader.Report(column.pos, fmt::format("two joins of {} give a column '{}'", model, column.as),
                        "rename one: columns: {name in the table: name in the dataset}");
      }
      joined.push_back({column.as, column.pos});
    }
  }
}

}  // namespace

DatasetConfig ReadDataset(const Yaml& node, const std::string& model, const ConfigReader& reader) {
  DatasetConfig out;
  out.pos = node.pos();
  const std::string what = fmt::format("'dataset' of {}", model);
  YamlMap map(node, what, reader.diagnostics);
  const Yaml* from = map.Get("from");
  const Yaml* query = map.Get("query");
  if (from) {
    out.from = reader.Table(*from);
    out.source_pos = from->pos();
  }
  if (query) {
    if (!query->is_scalar()) {
      reader.Report(query->pos(), fmt::format("'query' of {} must be SQL, it is {}", model, query->KindName()), "",
                    ErrorCode::kWrongType);
    } else {
      auto source = SourceOf(*query, reader.file_text);
      out.query = std::string(Trim(query->text()));
      while (out.query.ends_with(';'))
        out.query = std::string(Trim(std::string_view(out.query).substr(0, out.query.size() - 1)));
      out.source_pos = source.pos;
      if (out.query.empty()) reader.Report(query->pos(), fmt::format("'query' of {} is empty", model));
    }
  }
  if (from && query) {
    reader.Report(query->pos(), fmt::format("{} has both 'from' and 'query'", what), "keep one of them");
  } else if (!from && !query && node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("{} needs 'from' or 'query'", what),
                  "from: schema.table, or query: with SQL over the warehouse's tables", ErrorCode::kMissingKey);
  }
  out.key = reader.Names(map, "key", what);
  if (out.key.empty() && node.is_mapping()) {
    reader.Report(map.PosOf("key"), fmt::format("{} needs 'key'", what),
                  "the columns that, with the time, tell one row from another", ErrorCode::kMissingKey);
  }
  out.time = {map.RequiredString("time"), map.PosOf("time")};
  out.label = {map.RequiredString("label"), map.PosOf("label")};
  out.features = reader.Names(map, "features", what);
  if (const Yaml* features = map.Get("features"); features && features->is_sequence() && features->items().empty())
    reader.Report(features->pos(), fmt::format("'features' of {} is empty", what), "leave it out to take all columns");
  out.exclude = reader.Names(map, "exclude", what);
  if (!out.features.empty() && !out.exclude.empty()) {
    reader.Report(map.PosOf("exclude"), fmt::format("{} has both 'features' and 'exclude'", what),
                  "'features' names all there are; keep one of them");
  }
  out.categorical = reader.Names(map, "categorical", what);
  if (const Yaml* joins = map.Get("join")) {
    if (joins->is_mapping()) out.joins.push_back(ReadJoin(*joins, model, reader));
    if (joins->is_scalar())
      reader.Report(joins->pos(), fmt::format("'join' of {} must be a list, it is {}", what, joins->KindName()), "",
                    ErrorCode::kWrongType);
    for (const auto& item : joins->items()) out.joins.push_back(ReadJoin(item, model, reader));
  }
  if (map.Has("leakage")) {
    // `off` unquoted is a truth value in YAML 1.1; its text stays.
    auto mode = map.Choice("leakage", {"warn", "fail", "off"});
    if (mode == "fail") out.leakage = LeakageMode::kFail;
    if (mode == "off") out.leakage = LeakageMode::kOff;
  }
  if (const Yaml* delay = map.Get("label_delay")) out.label_delay = reader.PositiveSpan(*delay, "label_delay");
  map.Finish();
  CheckNames(out, model, reader);
  return out;
}

}  // namespace quern::ml
