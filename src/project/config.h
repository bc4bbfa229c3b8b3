#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

// quern.yml: docs/reference/quern-yml.md says every key.
namespace quern::project {

/// Where a project's data and history lie, and how much of the machine it may use.
struct Target {
  std::string name;
  std::filesystem::path warehouse;  ///< absolute
  std::filesystem::path state;      ///< absolute; the metadata database's file
  std::filesystem::path tracking;   ///< absolute; the tracking database's file, in MLflow's schema
  std::filesystem::path artifacts;  ///< absolute; where runs keep models and other files
  int threads = 0;                  ///< 0: as many as cores
  std::string memory_limit;         ///< "800MB"; "" leaves the engine's default
  SourcePos pos;
};

/// When to run which part of the graph.
struct ScheduleConfig {
  std::string name;
  std::string cron;
  TimeZone zone = TimeZone::Utc();
  std::vector<std::string> select;  ///< union; empty: the whole graph
  std::vector<std::string> exclude;
  std::optional<Timestamp> start;  ///< first logical date
  std::optional<Timestamp> end;    ///< last logical date, inclusive
  bool catchup = false;
  bool full_refresh = false;
  SourcePos pos, cron_pos, select_pos, exclude_pos;
};

struct Config {
  std::string name;
  std::filesystem::path root;                        ///< absolute; the folder of quern.yml
  std::optional<std::filesystem::path> dbt_project;  ///< absolute; nothing when the project has no dbt part
  std::string default_target;
  std::map<std::string, Target> targets;  ///< at least one
  std::map<std::string, ScheduleConfig> schedules;
  Json vars = Json::object();

  /// The target of that name, the default one for "". Errors: kProject with "did you mean".
  Result<Target> FindTarget(const std::string& name) const;
  /// Errors: kProject with "did you mean".
  Result<ScheduleConfig> FindSchedule(const std::string& name) const;
};

/// The folder that holds quern.yml: `given` itself, or, when it is empty, the nearest one from the working directory
/// upwards. Errors: kProject that says where was looked.
Result<std::filesystem::path> FindProject(const std::filesystem::path& given);

/// Reads `root`/quern.yml. Everything wrong goes to `diagnostics`; places are relative to `root`. What could be read is
/// returned all the same; nothing only when the file cannot be read as a mapping.
std::optional<Config> LoadConfig(const std::filesystem::path& root, Diagnostics& diagnostics);

}  // namespace quern::project
