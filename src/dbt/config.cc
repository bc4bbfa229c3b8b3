#include "dbt/config.h"

#include <algorithm>

#include "base/text.h"

namespace quern::dbt {

namespace {

bool Is(const std::string& key, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return key == name; });
}

std::string Canonical(std::string key) {
  if (key == "pre_hook") return "pre-hook";
  if (key == "post_hook") return "post-hook";
  return key;
}

Json AsList(const Json& value) {
  if (value.is_array()) return value;
  if (value.is_null()) return Json::array();
  return Json::array({value});
}

Json Hook(const Json& value) {
  Json hook = {{"sql", ""}, {"transaction", true}, {"index", nullptr}};
  if (value.is_object()) {
    hook.update(value);
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    // before_begin() and after_commit() hand their settings on as JSON
    std::string_view trimmed = Trim(text);
    if (!trimmed.empty() && trimmed.front() == '{') {
      Json parsed = Json::parse(trimmed, nullptr, false);
      if (parsed.is_object() && parsed.contains("sql")) {
        hook.update(parsed);
        return hook;
      }
    }
    hook["sql"] = text;
  }
  return hook;
}

std::string TreeName(ResourceType type) {
  switch (type) {
    case ResourceType::kSeed:
      return "seeds";
    case ResourceType::kSnapshot:
      return "snapshots";
    case ResourceType::kTest:
      return "data_tests";
    case ResourceType::kSource:
      return "sources";
    case ResourceType::kExposure:
      return "exposures";
    default:
      return "models";
  }
}

/// The levels of a project's tree along a resource's path, each reduced to its config keys.
std::vector<Json> Levels(const Package& package, ResourceType type, const std::vector<std::string>& fqn) {
  std::vector<Json> out;
  auto tree = package.trees.find(TreeName(type));
  if (tree == package.trees.end()) return out;
  const Json* level = &tree->second;
  auto take = [&](const Json& object) {
    Json config = Json::object();
    for (const auto& [key, value] : object.items()) {
      if (!key.empty() && key[0] == '+') {
        config[std::string(Trim(std::string_view(key).substr(1)))] = value;
      } else if (!value.is_object()) {
        config[key] = value;
      }
    }
    if (!config.empty()) out.push_back(std::move(config));
  };
  take(*level);
  for (const std::string& name : fqn) {
    auto it = level->find(name);
    if (it == level->end() || !it->is_object()) break;
    level = &*it;
    take(*level);
  }
  return out;
}

void ApplyLayers(Json& result, const ConfigLayers& layers, void (*merge)(Json&, const Json&)) {
  for (const Json& level : Levels(*layers.package, layers.type, *layers.fqn)) merge(result, level);
  if (layers.patch) merge(result, *layers.patch);
  if (layers.call) merge(result, *layers.call);
  if (layers.package != layers.root) {
    for (const Json& level : Levels(*layers.root, layers.type, *layers.fqn)) merge(result, level);
  }
}

void MergeWritten(Json& result, const Json& partial) {
  for (const auto& [key, value] : partial.items()) result[Canonical(key)] = value;
}

}  // namespace

bool ConfigTruth(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.is_null() && !value.empty();
}

std::vector<std::string> ConfigTexts(const Json& value) {
  std::vector<std::string> out;
  if (value.is_array()) {
    for (const Json& item : value) out.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  } else if (value.is_string()) {
    out.push_back(value.get<std::string>());
  }
  return out;
}

Json DefaultConfig(ResourceType type) {
  if (type == ResourceType::kSource) {
    return {{"enabled", true},
            {"event_time", nullptr},
            {"freshness",
             {{"warn_after", {{"count", nullptr}, {"period", nullptr}}},
              {"error_after", {{"count", nullptr}, {"period", nullptr}}},
              {"filter", nullptr}}},
            {"loaded_at_field", nullptr},
            {"loaded_at_query", nullptr},
            {"meta", Json::object()},
            {"tags", Json::array()},
            {"static_analysis", nullptr}};
  }
  if (type == ResourceType::kExposure) return {{"enabled", true}, {"tags", Json::array()}, {"meta", Json::object()}};
  Json config = {{"enabled", true},       {"alias", nullptr},       {"schema", nullptr}, {"database", nullptr},
                 {"tags", Json::array()}, {"meta", Json::object()}, {"group", nullptr},  {"static_analysis", nullptr}};
  if (type == ResourceType::kTest) {
    config.update({{"materialized", "test"},
                   {"schema", "dbt_test__audit"},
                   {"severity", "ERROR"},
                   {"store_failures", nullptr},
                   {"store_failures_as", nullptr},
                   {"where", nullptr},
                   {"limit", nullptr},
                   {"fail_calc", "count(*)"},
                   {"warn_if", "!= 0"},
                   {"error_if", "!= 0"}});
    return config;
  }
  config.update({{"materialized", "view"},
                 {"incremental_strategy", nullptr},
                 {"batch_size", nullptr},
                 {"lookback", 1},
                 {"begin", nullptr},
                 {"persist_docs", Json::object()},
                 {"post-hook", Json::array()},
                 {"pre-hook", Json::array()},
                 {"quoting", Json::object()},
                 {"column_types", Json::object()},
                 {"full_refresh", nullptr},
                 {"unique_key", nullptr},
                 {"on_schema_change", "ignore"},
                 {"on_configuration_change", "apply"},
                 {"grants", Json::object()},
                 {"packages", Json::array()},
                 {"docs", {{"show", true}, {"node_color", nullptr}}},
                 {"contract", {{"enforced", false}, {"alias_types", true}}},
                 {"event_time", nullptr},
                 {"concurrent_batches", nullptr}});
  if (type == ResourceType::kModel) config.update({{"access", "protected"}, {"freshness", nullptr}});
  if (type == ResourceType::kSeed)
    config.update({{"materialized", "seed"}, {"delimiter", ","}, {"quote_columns", nullptr}});
  if (type == ResourceType::kSnapshot) {
    config.update({{"materialized", "snapshot"},
                   {"strategy", nullptr},
                   {"target_schema", nullptr},
                   {"target_database", nullptr},
                   {"updated_at", nullptr},
                   {"check_cols", nullptr},
                   {"snapshot_meta_column_names",
                    {{"dbt_valid_to", nullptr},
                     {"dbt_valid_from", nullptr},
                     {"dbt_scd_id", nullptr},
                     {"dbt_updated_at", nullptr},
                     {"dbt_is_deleted", nullptr}}},
                   {"dbt_valid_to_current", nullptr}});
  }
  return config;
}

void MergeConfig(Json& result, const Json& partial) {
  for (const auto& [written, value] : partial.items()) {
    std::string key = Canonical(written);
    if (key == "tags" || key == "packages") {
      Json list = AsList(result.contains(key) ? result[key] : Json());
      for (const Json& item : AsList(value)) {
        if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
      }
      result[key] = std::move(list);
    } else if (key == "pre-hook" || key == "post-hook") {
      Json list = AsList(result.contains(key) ? result[key] : Json());
      for (const Json& item : AsList(value)) list.push_back(Hook(item));
      result[key] = std::move(list);
    } else if (key == "grants") {
      // "+privilege" adds to what is there, "privilege" replaces it
      Json grants = result.contains(key) && result[key].is_object() ? result[key] : Json::object();
      if (value.is_object()) {
        for (const auto& [privilege, to] : value.items()) {
          bool add = !privilege.empty() && privilege[0] == '+';
          std::string name = add ? privilege.substr(1) : privilege;
          Json list = add && grants.contains(name) ? grants[name] : Json::array();
          for (const Json& item : AsList(to)) list.push_back(item);
          grants[name] = std::move(list);
        }
      }
      result[key] = std::move(grants);
    } else if (value.is_object() && Is(key, {"meta", "docs", "column_types", "quoting", "contract", "persist_docs",
                                             "snapshot_meta_column_names"})) {
      if (!result.contains(key) || !result[key].is_object()) result[key] = Json::object();
      result[key].update(value);
    } else {
      result[key] = value;
    }
  }
}

Json ResolveConfig(const ConfigLayers& layers) {
  Json config = DefaultConfig(layers.type);
  ApplyLayers(config, layers, MergeConfig);
  return config;
}

Json WrittenConfig(const ConfigLayers& layers) {
  Json config = Json::object();
  ApplyLayers(config, layers, MergeWritten);
  return config;
}

const std::vector<std::string>& KnownConfigKeys() {
  static const std::vector<std::string> keys = {"enabled",
                                                "alias",
                                                "schema",
                                                "database",
                                                "tags",
                                                "meta",
                                                "group",
                                                "materialized",
                                                "incremental_strategy",
                                                "persist_docs",
                                                "post-hook",
                                                "pre-hook",
                                                "post_hook",
                                                "pre_hook",
                                                "quoting",
                                                "column_types",
                                                "full_refresh",
                                                "unique_key",
                                                "on_schema_change",
                                                "grants",
                                                "packages",
                                                "docs",
                                                "contract",
                                                "event_time",
                                                "access",
                                                "delimiter",
                                                "quote_columns",
                                                "strategy",
                                                "target_schema",
                                                "target_database",
                                                "updated_at",
                                                "check_cols",
                                                "snapshot_meta_column_names",
                                                "dbt_valid_to_current",
                                                "hard_deletes",
                                                "invalidate_hard_deletes",
                                                "severity",
                                                "store_failures",
                                                "store_failures_as",
                                                "where",
                                                "limit",
                                                "fail_calc",
                                                "warn_if",
                                                "error_if",
                                                "merge_update_columns",
                                                "merge_exclude_columns",
                                                "incremental_predicates",
                                                "before_run",
                                                "sql_header",
                                                "static_analysis",
                                                "on_configuration_change",
                                                "batch_size",
                                                "lookback",
                                                "begin",
                                                "concurrent_batches",
                                                "freshness",
                                                "loaded_at_field",
                                                "loaded_at_query",
                                                "partition_by",
                                                "partitioned_by"};
  return keys;
}

void WarnAboutConfigKeys(const Package& root, Diagnostics& diagnostics) {
  std::function<void(const Yaml&)> walk = [&](const Yaml& level) {
    for (const auto& [key, value] : level.entries()) {
      bool plus = !key.text().empty() && key.text()[0] == '+';
      std::string bare = plus ? std::string(Trim(std::string_view(key.text()).substr(1))) : key.text();
      if (!plus && value.is_mapping()) {
        walk(value);
        continue;
      }
      const auto& known = KnownConfigKeys();
      if (std::find(known.begin(), known.end(), bare) != known.end()) continue;
      if (std::string hint = DidYouMean(bare, known); !hint.empty()) {
        diagnostics.Warn(
            Error(ErrorCode::kUnknownKey, "config key '" + bare + "' is not known").At(key.pos()).Hint(hint));
      }
    }
  };
  for (const auto& [name, tree] : root.tree_sources) walk(tree);
}

}  // namespace quern::dbt
