#include "cli/commands.h"
#include "cli/workspace.h"

namespace quern::cli {

int RunCheck(Invocation& invocation) {
  Diagnostics diagnostics;
  auto opened = OpenProject(invocation, diagnostics);
  int nodes = 0;
  if (opened) {
    auto& project = **opened;
    project.Load(diagnostics);
    nodes = project.graph().size();
    // What the engine would say about a graph that does not hold together would only repeat it.
    project.Check(diagnostics);
  } else if (opened.error().code() == ErrorCode::kUsage || !opened.error().pos().known()) {
    return invocation.Failed(opened.error());
  } else {
    diagnostics.Add(opened.error());
  }
  diagnostics.Sort();
  auto count = diagnostics.errors().size();
  auto warned = diagnostics.warnings().size();
  if (invocation.json()) {
    Json errors = Json::array(), warnings = Json::array();
    for (const auto& error : diagnostics.errors()) errors.push_back(error.ToJson());
    for (const auto& warning : diagnostics.warnings()) warnings.push_back(warning.ToJson());
    invocation.PrintJson({{"ok", count == 0}, {"nodes", nodes}, {"errors", errors}, {"warnings", warnings}});
    return count == 0 ? kDone : kFailed;
  }
  ShowDiagnostics(invocation, diagnostics);
  auto plural = [](size_t n, std::string_view word) { return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s"); };
  auto& terminal = invocation.terminal;
  auto warnings = warned ? ", " + plural(warned, "warning") : std::string();
  if (count == 0) {
    terminal.Say(fmt::format("{}: {}{}, no errors", terminal.Paint("in order", Colour::kGreen),
                             plural(static_cast<size_t>(nodes), "node"), warnings));
    return kDone;
  }
  terminal.Say(fmt::format("{}{}", terminal.Paint(plural(count, "error"), Colour::kRed), warnings));
  return kFailed;
}

}  // namespace quern::cli
