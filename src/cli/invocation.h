#pragma once
#include <memory>

#include "base/cancellation.h"
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/terminal.h"

namespace quern::cli {

/// The exit codes (docs/reference/exit-codes.md).
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,       ///< something failed: a node, a test, a check with findings
  kCouldNotRun = 2,  ///< usage, a project that does not load, an unknown selector
  kStopped = 3,      ///< on request: SIGINT, SIGTERM
  kBusy = 4,         ///< another process is at the same interval
};

/// The exit code that stands for an error that ended a command.
int ExitCodeOf(const Error& error);

/// One call of the program.
struct Invocation {
  const CommandSpec* command = nullptr;
  Arguments args;
  std::vector<std::string> words;  ///< as given after the command's name; for commands that pass them through
  Terminal terminal{{}};
  std::unique_ptr<Clock> clock;
  Cancellation cancellation;  ///< cancelled by SIGINT and SIGTERM

  bool json() const { return args.Get("output") == "json"; }
  /// Shows the error (as JSON on standard output under --output json) and gives its exit code.
  int Failed(const Error& error) const;
  /// Prints one JSON object, indented, on standard output.
  void PrintJson(const Json& object) const;
};

}  // namespace quern::cli
