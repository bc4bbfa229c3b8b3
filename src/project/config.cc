#include "project/config.h"

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "base/yaml.h"

namespace quern::project {
namespace {

namespace fs = std::filesystem;

bool IsName(std::string_view text) {
  if (text.empty()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

void CheckName(std::string_view what, const Yaml& name, Diagnostics& diagnostics) {
  if (IsName(name.text())) return;
  diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("{} cannot be called '{}'", what, name.text()))
                      .At(name.pos())
                      .Hint("a name is made of letters, digits, '_' and '-'"));
}

bool IsMemoryLimit(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && (std::isdigit(static_cast<unsigned char>(text[i])) || text[i] == '.')) ++i;
  if (i == 0) return false;
  auto unit = Lower(Trim(text.substr(i)));
  for (std::string_view known : {"kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib"}) {
    if (unit == known) return true;
  }
  return false;
}

// A folder or file of the project; refuses a URL by name, since only local storage is built.
fs::path LocalPath(YamlMap& map, std::string_view key, std::string_view otherwise, const fs::path& root,
                   Diagnostics& diagnostics) {
  auto text = map.String(key).value_or(std::string(otherwise));
  if (text.find("://") != std::string::npos) {
    diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot be the URL '{}'", key, text))
                        .At(map.PosOf(key))
                        .Hint("give a folder on this machine: storage by URL is not supported by this version"));
    text = otherwise;
  }
  return (root / text).lexically_normal();
}

Target ReadTarget(const std::string& name, const Yaml& node, const fs::path& root, Diagnostics& diagnostics) {
  Target out;
  out.name = name;
  out.pos = node.pos();
  YamlMap map(node, fmt::format("target '{}'", name), diagnostics);
  out.warehouse = LocalPath(map, "warehouse", "warehouse", root, diagnostics);
  out.state = LocalPath(map, "state", ".quern/state.db", root, diagnostics);
  out.tracking = LocalPath(map, "tracking", ".quern/mlflow.db", root, diagnostics);
  out.artifacts = LocalPath(map, "artifacts", ".quern/artifacts", root, diagnostics);
  if (auto threads = map.Int("threads")) {
    if (*threads < 1 || *threads > 1024) {
      diagnostics.Add(
          Error(ErrorCode::kInvalidArgument, fmt::format("'threads' must be between 1 and 1024, it is {}", *threads))
              .At(map.PosOf("threads")));
    } else {
      out.threads = static_cast<int>(*threads);
    }
  }
  if (auto limit = map.String("memory_limit")) {
    if (IsMemoryLimit(*limit)) {
      out.memory_limit = *limit;
    } else {
      diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no amount of memory", *limit))
                          .At(map.PosOf("memory_limit"))
                          .Hint("write a number and a unit, as in 800MB or 4GB"));
    }
  }
  map.Finish();
  return out;
}

std::optional<Timestamp> ReadDate(YamlMap& map, std::string_view key, const TimeZone& zone, Diagnostics& diagnostics) {
  auto text = map.String(key);
  if (!text) return std::nullopt;
  auto at = ParseTimestamp(*text, zone);
  if (at) return *at;
  diagnostics.Add(Error(at.error()).At(map.PosOf(key)).Hint("write a date, as in 2013-01-31"));
  return std::nullopt;
}

ScheduleConfig ReadSchedule(const std::string& name, const Yaml& node, Diagnostics& diagnostics) {
  ScheduleConfig out;
  out.name = name;
  out.pos = node.pos();
  YamlMap map(node, fmt::format("schedule '{}'", name), diagnostics);
  out.cron = map.RequiredString("cron");
  out.cron_pos = map.PosOf("cron");
  if (auto zone = map.String("timezone")) {
    auto found = TimeZone::Find(*zone);
    if (found) {
      out.zone = *found;
    } else {
      diagnostics.Add(Error(found.error()).At(map.PosOf("timezone")));
    }
  }
  out.select = map.Strings("select").value_or(std::vector<std::string>{});
  out.select_pos = map.PosOf("select");
  out.exclude = map.Strings("exclude").value_or(std::vector<std::string>{});
  out.exclude_pos = map.PosOf("exclude");
  out.start = ReadDate(map, "start", out.zone, diagnostics);
  out.end = ReadDate(map, "end", out.zone, diagnostics);
  if (out.start && out.end && *out.end < *out.start) {
    diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("schedule '{}' ends before it starts", name))
                        .At(map.PosOf("end")));
  }
  out.catchup = map.Bool("catchup").value_or(false);
  out.full_refresh = map.Bool("full_refresh").value_or(false);
  if (out.catchup && !map.Has("start")) {
    diagnostics.Add(Error(ErrorCode::kMissingKey, fmt::format("schedule '{}' catches up, so it needs 'start'", name))
                        .At(map.PosOf("catchup"))
                        .Hint("start: the first logical date, as in 2013-01-01"));
  }
  map.Finish();
  return out;
}

// The dbt project: what quern.yml names, else "dbt", else the root, whichever holds a dbt_project.yml.
std::optional<fs::path> FindDbtProject(YamlMap& map, const fs::path& root, Diagnostics& diagnostics) {
  if (auto given = map.String("dbt_project")) {
    auto folder = (root / *given).lexically_normal();
    if (!fs::exists(folder / "dbt_project.yml")) {
      diagnostics.Add(Error(ErrorCode::kProject, fmt::format("there is no dbt_project.yml in '{}'", *given))
                          .At(map.PosOf("dbt_project"))
                          .Hint("name the folder that holds it, relative to quern.yml"));
      return std::nullopt;
    }
    return folder;
  }
  for (const auto& folder : {root / "dbt", root}) {
    if (fs::exists(folder / "dbt_project.yml")) return folder;
  }
  return std::nullopt;
}

template <class T>
std::vector<std::string> Keys(const std::map<std::string, T>& map) {
  std::vector<std::string> out;
  for (const auto& [key, value] : map) out.push_back(key);
  return out;
}

}  // namespace

Result<Target> Config::FindTarget(const std::string& name) const {
  const std::string& wanted = name.empty() ? default_target : name;
  auto it = targets.find(wanted);
  if (it != targets.end()) return it->second;
  auto hint = DidYouMean(wanted, Keys(targets));
  return Fail(Error(ErrorCode::kProject, fmt::format("quern.yml has no target '{}'", wanted))
                  .Hint(hint.empty() ? "it has: " + Join(Keys(targets), ", ") : hint));
}

Result<ScheduleConfig> Config::FindSchedule(const std::string& name) const {
  auto it = schedules.find(name);
  if (it != schedules.end()) return it->second;
  auto hint = DidYouMean(name, Keys(schedules));
  if (hint.empty()) hint = schedules.empty() ? "it has none" : "it has: " + Join(Keys(schedules), ", ");
  return Fail(Error(ErrorCode::kProject, fmt::format("quern.yml has no schedule '{}'", name)).Hint(hint));
}

Result<fs::path> FindProject(const fs::path& given) {
  std::error_code ignored;
  if (!given.empty()) {
    auto root = fs::absolute(given, ignored).lexically_normal();
    if (root.filename().empty()) root = root.parent_path();
    if (fs::exists(root / "quern.yml", ignored)) return root;
    bool folder = fs::is_directory(root, ignored);
    return Fail(Error(ErrorCode::kProject, folder ? fmt::format("there is no quern.yml in '{}'", given.string())
                                                  : fmt::format("there is no folder '{}'", given.string()))
                    .Hint("--project-dir names the folder that holds quern.yml; quern init makes a new project"));
  }
  auto here = fs::current_path(ignored);
  for (auto folder = here;; folder = folder.parent_path()) {
    if (fs::exists(folder / "quern.yml", ignored)) return folder;
    if (folder == folder.parent_path()) break;
  }
  return Fail(Error(ErrorCode::kProject, fmt::format("there is no quern.yml in '{}' or above it", here.string()))
                  .Hint("go to the project's folder, name it with --project-dir, or make a project with quern init"));
}

std::optional<Config> LoadConfig(const fs::path& root, Diagnostics& diagnostics) {
  std::ifstream in(root / "quern.yml", std::ios::binary);
  if (!in) {
    diagnostics.Add(Error(ErrorCode::kProject, "quern.yml cannot be read").At({"quern.yml", 0, 0}));
    return std::nullopt;
  }
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = Yaml::Parse(text.str(), "quern.yml");
  if (!parsed) {
    diagnostics.Add(parsed.error());
    return std::nullopt;
  }
  Config out;
  out.root = root;
  YamlMap map(*parsed, "quern.yml", diagnostics);
  if (!parsed->is_mapping() && !parsed->is_null()) return std::nullopt;

  out.name = map.RequiredString("name");
  if (const Yaml* name = map.Get("name"); name && name->is_scalar()) CheckName("a project", *name, diagnostics);
  out.dbt_project = FindDbtProject(map, root, diagnostics);
  if (const Yaml* targets = map.Get("targets")) {
    YamlMap each(*targets, "'targets'", diagnostics);
    for (const auto& [name, node] : targets->entries()) {
      CheckName("a target", name, diagnostics);
      each.Allow(name.text());
      out.targets.emplace(name.text(), ReadTarget(name.text(), node, root, diagnostics));
    }
  }
  if (out.targets.empty()) {
    SourcePos pos = map.pos();
    out.targets.emplace("dev", ReadTarget("dev", Yaml::Null(pos), root, diagnostics));
  }
  out.default_target =
      map.String("default_target").value_or(out.targets.contains("dev") ? "dev" : out.targets.begin()->first);
  if (!out.targets.contains(out.default_target)) {
    auto hint = DidYouMean(out.default_target, Keys(out.targets));
    diagnostics.Add(Error(ErrorCode::kProject,
                          fmt::format("'default_target' names '{}', which is not among 'targets'", out.default_target))
                        .At(map.PosOf("default_target"))
                        .Hint(hint.empty() ? "it has: " + Join(Keys(out.targets), ", ") : hint));
    out.default_target = out.targets.begin()->first;
  }
  if (const Yaml* vars = map.Get("vars")) {
    YamlMap checked(*vars, "'vars'", diagnostics);
    if (vars->is_mapping()) out.vars = vars->ToJson();
  }
  if (const Yaml* schedules = map.Get("schedules")) {
    YamlMap each(*schedules, "'schedules'", diagnostics);
    for (const auto& [name, node] : schedules->entries()) {
      CheckName("a schedule", name, diagnostics);
      if (name.text() == "manual") {
        diagnostics.Add(
            Error(ErrorCode::kInvalidArgument, "a schedule cannot be called 'manual': runs outside schedules are")
                .At(name.pos()));
      }
      out.schedules.emplace(name.text(), ReadSchedule(name.text(), node, diagnostics));
    }
  }
  map.Finish();
  return out;
}

}  // namespace quern::project
