#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "dbt/project.h"

namespace quern::dbt {

/// Where a project builds to: the selected output of profiles.yml.
struct Target {
  std::string profile_name;
  std::string name;      ///< of the target
  std::string type;      ///< "quern" or "duckdb"
  std::string database;  ///< the catalog's name in SQL
  std::string schema;
  int threads = 1;
  std::filesystem::path path;    ///< the warehouse's folder, or the .duckdb file; empty: in memory
  Json fields = Json::object();  ///< what `target` shows to templates
  /// duckdb: databases attached beside, as dbt-duckdb's `attach`, and `settings`.
  struct Attached {
    std::string path, alias, type;
    bool read_only = false;
  };
  std::vector<Attached> attach;
  Json settings = Json::object();
};

/// The target that a Quern project supplies.
struct QuernTarget {
  std::filesystem::path warehouse;
  std::string name = "dev";
  std::string schema = "main";
  int threads = 0;
};

struct ProfileQuery {
  std::filesystem::path project_dir;
  std::optional<std::filesystem::path> profiles_dir;  ///< --profiles-dir
  std::string profile;                                ///< of dbt_project.yml, or --profile
  std::optional<std::string> target;                  ///< --target
  std::optional<int> threads;
  /// Used when no profiles.yml knows the profile; with `only_quern` also when its output is of another type.
  std::optional<QuernTarget> quern;
  bool only_quern = false;
};

/// Looks in --profiles-dir, DBT_PROFILES_DIR, the project's folder, ~/.dbt. Errors: kDbtProject, with places in the
/// file.
Result<Target> LoadTarget(const ProfileQuery& query, const RenderText& render);

}  // namespace quern::dbt
