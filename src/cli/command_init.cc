#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/invocation.h"
#include "cli/templates.h"
#include "io/files.h"

namespace quern::cli {
namespace {

namespace fs = std::filesystem;

// What the template's own README says to do first: its first indented block.
std::vector<std::string> FirstSteps(const Template& from) {
  std::vector<std::string> out;
  for (const auto& file : from.files) {
    if (file.path != "README.md") continue;
    for (const auto& line : Split(file.content, '\n')) {
      if (line.starts_with("    ")) {
        out.push_back(line.substr(4));
      } else if (!out.empty()) {
        break;
      }
    }
  }
  return out;
}

Result<void> WriteTemplate(const Template& from, const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) {
    return Fail(Error(ErrorCode::kUsage, fmt::format("'{}' is a file", folder.string())).Hint("name another folder"));
  }
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    if (it->path().filename() == ".git") continue;
    return Fail(Error(ErrorCode::kUsage, fmt::format("'{}' is not empty; nothing was written", folder.string()))
                    .Hint(fmt::format("name a new folder: quern init {} DIR", from.name)));
  }
  for (const auto& file : from.files) QUERN_TRY(io::WriteFileAtomically(folder / file.path, file.content));
  return {};
}

}  // namespace

int RunInit(Invocation& invocation) {
  std::vector<std::string> names;
  for (const auto& each : Templates()) names.push_back(each.name);
  auto wanted = invocation.args.Positional("TEMPLATE").value_or("shop");
  const Template* chosen = nullptr;
  for (const auto& each : Templates()) {
    if (each.name == wanted) chosen = &each;
  }
  if (!chosen) {
    auto hint = DidYouMean(wanted, names);
    return invocation.Failed(Error(ErrorCode::kUsage, fmt::format("there is no template '{}'", wanted))
                                 .Hint(hint.empty() ? fmt::format("there are: {}", Join(names, ", ")) : hint));
  }
  fs::path folder = invocation.args.Positional("DIR").value_or(chosen->name == "empty" ? "." : chosen->name);
  auto written = WriteTemplate(*chosen, folder);
  if (!written) return invocation.Failed(written.error());
  if (invocation.json()) {
    Json files = Json::array();
    for (const auto& file : chosen->files) files.push_back(file.path);
    invocation.PrintJson(
        {{"template", chosen->name}, {"folder", fs::absolute(folder).lexically_normal().string()}, {"files", files}});
    return kDone;
  }
  auto& terminal = invocation.terminal;
  terminal.Say(fmt::format("Wrote {} files to {}. Next:\n", chosen->files.size(),
                           folder == "." ? "this folder" : folder.string()));
  if (folder != ".") terminal.Say("  cd " + folder.string());
  for (const auto& step : FirstSteps(*chosen)) terminal.Say("  " + step);
  return kDone;
}

}  // namespace quern::cli
