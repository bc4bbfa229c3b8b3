#include "cli/commands.h"

namespace quern::cli {
namespace {

using Options = std::vector<OptionSpec>;

// Groups of options that several commands share.
const Options kGeneral = {
    {"-q,--quiet", Arity::kFlag, "", "print results and errors only", {}},
    {"--no-color", Arity::kFlag, "", "no colours (NO_COLOR does the same)", {}},
    {"-h,--help", Arity::kFlag, "", "what this command does and takes", {}},
};

const Options kJsonOutput = {
    {"--output", Arity::kOne, "FORM", "text for people, json for programs: one object on standard output", {"text", "json"}},
};

Options operator+(Options a, const Options& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<CommandSpec> MakeCommands() {
  std::vector<CommandSpec> out;
  out.push_back({.name = "version",
                 .summary = "Print the program's version",
                 .options = kJsonOutput + kGeneral,
                 .run = RunVersion});
  out.push_back({.name = "help",
                 .summary = "Explain the program or one command",
                 .positionals = {{"COMMAND", "the command to explain", false, true}},
                 .options = Options{{"--markdown", Arity::kFlag, "", "all commands as the reference page", {}}} + kGeneral,
                 .run = RunHelp});
  return out;
}

}  // namespace

const std::vector<CommandSpec>& Commands() {
  static const std::vector<CommandSpec> commands = MakeCommands();
  return commands;
}

}  // namespace quern::cli
