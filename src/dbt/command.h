#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/clock.h"
#include "dbt/profile.h"

namespace quern::dbt {

/// What `quern dbt …` gets from its surroundings.
struct CommandEnvironment {
  std::filesystem::path working_directory;
  /// The enclosing Quern project's target, used when no profiles.yml knows the profile.
  std::optional<QuernTarget> quern;
  /// The enclosing Quern project's dbt project (absolute): taken where the folder that is meant holds none.
  std::optional<std::filesystem::path> dbt_project;
  std::string memory_limit;
  const Clock* clock = nullptr;
  std::ostream* out = nullptr;  ///< results and progress
  std::ostream* err = nullptr;  ///< errors and warnings
  bool colours = false;
  Cancellation cancellation;
};

/// dbt's own command line: run, build, test, seed, snapshot, compile, ls, parse. `args` begins behind "dbt".
/// Gives the exit code: 0 done, 1 a node or test failed, 2 could not run, 3 stopped on request.
int RunCommand(const std::vector<std::string>& args, const CommandEnvironment& environment);
/// The text of `quern dbt --help`.
std::string CommandHelp();

}  // namespace quern::dbt
