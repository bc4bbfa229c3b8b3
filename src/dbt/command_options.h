#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::dbt {

/// A parsed command line of `quern dbt`.
struct CommandOptions {
  std::string command;  ///< run, build, test, seed, snapshot, compile, ls, parse; "" or "help" for help
  std::optional<std::string> project_dir, profiles_dir, profile, target, target_path;
  std::optional<int> threads;
  Json vars = Json::object();
  std::vector<std::string> select, exclude, resource_types, exclude_resource_types;
  std::string indirect = "eager";
  std::string output = "selector";  ///< of ls: selector, name, path, json
  std::vector<std::string> output_keys;
  bool full_refresh = false;
  bool fail_fast = false;
  bool store_failures = false;
  bool quiet = false;
  bool warn_error = false;
};

/// Errors: kUsage with "did you mean"; options of dbt that are not built are refused by name.
Result<CommandOptions> ParseCommandLine(const std::vector<std::string>& args);

}  // namespace quern::dbt
