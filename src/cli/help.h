#pragma once
#include <string>

#include "cli/arguments.h"

namespace quern::cli {

/// The overview that `quern help` prints.
std::string Overview();
/// --help of one command.
std::string HelpFor(const CommandSpec& command);
/// docs/reference/commands.md.
std::string CommandsAsMarkdown();
/// "quern run [SCHEDULE] [options]".
std::string UsageLine(const CommandSpec& command);
/// The program's version: "0.1.0".
std::string Version();

}  // namespace quern::cli
