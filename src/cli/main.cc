#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/secrets.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/invocation.h"
#include "cli/stop.h"

namespace quern::cli {
namespace {

bool Has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

int Main(std::vector<std::string> words) {
  SurviveBrokenPipes();
  RegisterSecretsFromEnvironment();
  SetLogLevelFromEnvironment();

  Invocation invocation;
  invocation.terminal =
      Terminal({.colour_allowed = !Has(words, "--no-color"), .quiet = Has(words, "--quiet") || Has(words, "-q")});
  auto& terminal = invocation.terminal;
  if (words.empty() || words[0] == "-h" || words[0] == "--help") {
    terminal.OutRaw(Overview());
    return words.empty() ? kCouldNotRun : kDone;
  }
  if (words[0] == "--version" || words[0] == "-V") {
    terminal.Out("quern " + Version());
    return kDone;
  }
  auto found = FindCommand(Commands(), words);
  if (!found) return invocation.Failed(found.error());
  if (!found->command)
    return invocation.Failed(Error(ErrorCode::kUsage, "no command was given").Hint("quern help lists them"));
  invocation.command = found->command;
  invocation.words = found->rest;
  if (!found->command->passes_through) {
    auto args = ParseArguments(*found->command, found->rest);
    if (!args) return invocation.Failed(args.error());
    invocation.args = *std::move(args);
    if (invocation.args.Flag("help")) {
      terminal.OutRaw(HelpFor(*found->command));
      return kDone;
    }
  }
  auto clock = Clock::FromEnvironment();
  if (!clock) {
    terminal.PrintError(clock.error());
    return kCouldNotRun;
  }
  invocation.clock = *std::move(clock);
  StopOnSignal stop(invocation.cancellation);
  return found->command->run(invocation);
}

}  // namespace
}  // namespace quern::cli

int main(int argc, char** argv) {
  int code = quern::cli::kFailed;
  try {
    code = quern::cli::Main({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error %s: internal error: %s. This is a bug, please report it.\n",
                 quern::ErrorCodeName(quern::ErrorCode::kInternal).c_str(), quern::MaskSecrets(e.what()).c_str());
  } catch (...) {
    std::fprintf(stderr, "error %s: internal error. This is a bug, please report it.\n",
                 quern::ErrorCodeName(quern::ErrorCode::kInternal).c_str());
  }
  std::fflush(stdout);
  return code;
}
