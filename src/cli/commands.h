#pragma once
#include <string>
#include <vector>

#include "cli/arguments.h"

namespace quern::cli {

/// Every command with its options: the parser, --help, completion and docs/reference/commands.md come from here.
const std::vector<CommandSpec>& Commands();

// What the commands do; each gives the exit code. One file a family: command_<family>.cc.
int RunVersion(Invocation&);
int RunHelp(Invocation&);
int RunInit(Invocation&);

}  // namespace quern::cli
