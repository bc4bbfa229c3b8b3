#include "dbt/profile.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace quern::dbt {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> Places(const ProfileQuery& query) {
  std::vector<fs::path> out;
  if (query.profiles_dir) return {*query.profiles_dir / "profiles.yml"};
  if (const char* dir = std::getenv("DBT_PROFILES_DIR"); dir && *dir) return {fs::path(dir) / "profiles.yml"};
  out.push_back(query.project_dir / "profiles.yml");
  if (const char* home = std::getenv("HOME"); home && *home) out.push_back(fs::path(home) / ".dbt" / "profiles.yml");
  return out;
}

std::vector<std::string> Keys(const Yaml& map) {
  std::vector<std::string> out;
  for (const auto& [key, value] : map.entries()) out.push_back(key.text());
  return out;
}

Target FromQuern(const ProfileQuery& query) {
  Target t;
  t.profile_name = query.profile;
  t.name = query.target.value_or(query.quern->name);
  t.type = "quern";
  t.database = "warehouse";
  t.schema = query.quern->schema;
  t.threads = query.threads.value_or(query.quern->threads);
  t.path = query.quern->warehouse;
  t.fields = {{"path", t.path.string()}};
  return t;
}

const char* const kOtherTypes[] = {"postgres", "snowflake", "bigquery",   "redshift",  "spark",  "databricks",
                                   "trino",    "athena",    "clickhouse", "sqlserver", "fabric", "mysql",
                                   "sqlite",   "synapse",   "exasol",     "starrocks", "dremio", "teradata"};

Error At(const Yaml& yaml, std::string message) {
  return Error(ErrorCode::kDbtProject, std::move(message)).At(yaml.pos());
}

}  // namespace

Result<Target> LoadTarget(const ProfileQuery& query, const RenderText& render) {
  std::optional<Yaml> profile;
  std::vector<std::string> known;
  std::string looked;
  fs::path found_in;
  for (const fs::path& place : Places(query)) {
    std::error_code ec;
    if (!looked.empty()) looked += ", ";
    looked += place.string();
    if (!fs::is_regular_file(place, ec)) continue;
    std::string text = QUERN_TRY(ReadTextFile(place, place.string()));
    fs::path relative = place.lexically_relative(query.project_dir);
    std::string shown = relative.empty() || *relative.begin() == ".." ? place.string() : relative.string();
    Yaml yaml = QUERN_TRY(Yaml::Parse(text, shown));
    if (const Yaml* p = yaml.Find(query.profile)) {
      profile = *p;
      found_in = place;
      break;
    }
    for (std::string& key : Keys(yaml)) known.push_back(std::move(key));
    // dbt looks into one file only; a Quern project may go on to its own target
    if (!query.quern) break;
  }
  if (!profile) {
    if (query.quern && !query.only_quern && query.target && *query.target != query.quern->name) {
      return Fail(Error(ErrorCode::kDbtProject, "there is no target '" + *query.target +
                                                    "' in quern.yml, and no profile '" + query.profile +
                                                    "' (looked in " + looked + ")")
                      .Hint("targets of quern.yml are used where no profiles.yml knows the profile"));
    }
    if (query.quern) return FromQuern(query);
    if (query.profile.empty()) {
      return Fail(Error(ErrorCode::kDbtProject, "dbt_project.yml names no profile")
                      .Hint("add 'profile: NAME', and NAME to profiles.yml"));
    }
    std::string hint = DidYouMean(query.profile, known);
    return Fail(Error(ErrorCode::kDbtProject, "there is no profile '" + query.profile + "' (looked in " + looked + ")")
                    .Hint(hint.empty() ? "add it to profiles.yml, or name its folder with --profiles-dir" : hint));
  }
  if (!profile->is_mapping()) return Fail(At(*profile, "the profile must be a mapping, not " + profile->KindName()));
  const Yaml* outputs = profile->Find("outputs");
  if (!outputs || !outputs->is_mapping()) return Fail(At(*profile, "profile '" + query.profile + "' has no 'outputs'"));
  std::string name = "default";
  SourcePos name_pos = profile->pos();
  if (query.target) {
    name = *query.target;
  } else if (const Yaml* target = profile->Find("target")) {
    name_pos = target->pos();
    name = target->text();
    if (HasJinja(name)) {
      Json rendered = QUERN_TRY(render(name, target->pos()));
      name = rendered.is_string() ? rendered.get<std::string>() : rendered.dump();
    }
  }
  const Yaml* output = outputs->Find(name);
  if (!output || !output->is_mapping()) {
    if (query.quern && query.only_quern) return FromQuern(query);
    return Fail(Error(ErrorCode::kDbtProject, "profile '" + query.profile + "' has no target '" + name + "'")
                    .At(name_pos)
                    .Hint(DidYouMean(name, Keys(*outputs)).empty() ? "it has: " + Join(Keys(*outputs), ", ")
                                                                   : DidYouMean(name, Keys(*outputs))));
  }
  Diagnostics problems;
  Json fields = RenderYaml(*output, render, problems);
  if (!problems.ok()) return Fail(problems.errors().front());
  YamlMap map(*output, "target '" + name + "'", problems);
  auto text_of = [&](const char* key) -> std::optional<std::string> {
    map.Allow(key);
    if (!fields.contains(key) || fields[key].is_null()) return std::nullopt;
    return fields[key].is_string() ? fields[key].get<std::string>() : fields[key].dump();
  };
  Target t;
  t.profile_name = query.profile;
  t.name = name;
  t.type = text_of("type").value_or("");
  t.schema = text_of("schema").value_or("main");
  t.threads = 1;
  if (auto threads = text_of("threads")) t.threads = std::max(1, std::atoi(threads->c_str()));
  if (query.threads) t.threads = *query.threads;
  if (t.type == "quern") {
    std::optional<std::string> path = text_of("path");
    if (!path) path = text_of("warehouse");
    text_of("warehouse");
    t.database = text_of("database").value_or("warehouse");
    if (query.only_quern && query.quern) {
      t.path = query.quern->warehouse;
    } else if (path) {
      t.path = fs::absolute(query.project_dir / *path).lexically_normal();
    } else if (query.quern) {
      t.path = query.quern->warehouse;
    } else {
      return Fail(At(*output, "a target of type quern needs 'path', the warehouse's folder"));
    }
    map.Finish();
  } else if (query.only_quern && query.quern) {
    return FromQuern(query);
  } else if (t.type == "duckdb") {
    std::string path = text_of("path").value_or(":memory:");
    if (path.rfind("md:", 0) == 0 || path.rfind("motherduck:", 0) == 0) {
      return Fail(At(*output, "MotherDuck ('" + path + "') is not built").Hint("name a .duckdb file as 'path'"));
    }
    if (path != ":memory:") t.path = fs::absolute(query.project_dir / path).lexically_normal();
    std::string derived = path == ":memory:" ? "memory" : fs::path(path).stem().string();
    t.database = text_of("database").value_or(derived);
    if (t.database != derived) {
      return Fail(At(*output, "'database' must be '" + derived + "', the name that the file's path gives it"));
    }
    if (const Yaml* attach = map.Get("attach"); attach && attach->is_sequence()) {
      for (size_t i = 0; i < attach->items().size(); ++i) {
        const Json& item = fields["attach"][i];
        Target::Attached a;
        a.path = item.value("path", "");
        a.alias = item.value("alias", fs::path(a.path).stem().string());
        a.type = item.value("type", "duckdb");
        a.read_only = item.value("read_only", false);
        if (a.type != "duckdb")
          return Fail(At(attach->items()[i], "attaching a database of type '" + a.type + "' is not built"));
        t.attach.push_back(std::move(a));
      }
    }
    if (fields.contains("settings") && fields["settings"].is_object()) t.settings = fields["settings"];
    map.Allow("settings");
    if (const Yaml* extensions = map.Get("extensions"); extensions && extensions->is_sequence()) {
      for (const Yaml& item : extensions->items()) {
        static const char* const kBuiltIn[] = {"parquet", "json", "icu", "core_functions"};
        if (std::find_if(std::begin(kBuiltIn), std::end(kBuiltIn), [&](const char* n) { return item.text() == n; }) ==
            std::end(kBuiltIn)) {
          return Fail(At(item, "DuckDB's extension '" + item.text() + "' is not built in")
                          .Hint("built in are parquet, json, icu"));
        }
      }
    }
    for (const char* key : {"plugins", "secrets", "filesystems", "remote", "use_credential_provider", "is_ducklake"}) {
      if (const Yaml* value = map.Get(key))
        return Fail(At(*value, "'" + std::string(key) + "' of a duckdb target is not built"));
    }
    for (const char* key : {"external_root", "config_options", "disable_transactions", "keep_open", "retries",
                            "module_paths", "hard_delete"})
      map.Allow(key);
    map.Finish();
  } else {
    std::vector<std::string> ours = {"quern", "duckdb"};
    bool adapter = std::find_if(std::begin(kOtherTypes), std::end(kOtherTypes),
                                [&](const char* n) { return t.type == n; }) != std::end(kOtherTypes);
    const Yaml* type = output->Find("type");
    std::string message = t.type.empty() ? "target '" + name + "' has no 'type'"
                          : adapter      ? "targets of type '" + t.type + "' are not built"
                                         : "there is no target type '" + t.type + "'";
    std::string hint = adapter ? "" : DidYouMean(t.type, ours);
    return Fail(At(type ? *type : *output, message).Hint(hint.empty() ? "built are quern and duckdb" : hint));
  }
  if (!problems.ok()) return Fail(problems.errors().front());
  for (const char* secret : {"password", "pass", "token", "private_key"}) fields.erase(secret);
  t.fields = std::move(fields);
  return t;
}

}  // namespace quern::dbt
