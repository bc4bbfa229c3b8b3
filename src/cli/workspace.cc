#include "cli/workspace.h"

#include "base/text.h"
#include "base/yaml.h"

namespace quern::cli {

Result<project::OpenOptions> OpenOptionsOf(const Invocation& invocation) {
  const auto& args = invocation.args;
  project::OpenOptions out;
  out.project_dir = args.GetOr("project-dir", "");
  out.target = args.GetOr("target", "");
  out.clock = invocation.clock.get();
  out.threads = static_cast<int>(QUERN_TRY(args.Int("threads", 1)).value_or(0));
  if (auto text = args.Get("vars")) {
    auto vars = Yaml::Parse(*text, "--vars");
    if (!vars || !(vars->is_mapping() || vars->is_null())) {
      auto error =
          Error(ErrorCode::kUsage, fmt::format("--vars is no mapping: {}", *text)).Hint("write it as '{key: value}'");
      if (!vars) error = std::move(error).Because(vars.error());
      return Fail(std::move(error));
    }
    if (vars->is_mapping()) out.vars = vars->ToJson();
  }
  return out;
}

Result<std::unique_ptr<project::Project>> OpenProject(Invocation& invocation, Diagnostics& diagnostics) {
  auto options = QUERN_TRY(OpenOptionsOf(invocation));
  // Places are relative to the project, also of what keeps it from opening.
  if (auto root = project::FindProject(options.project_dir)) invocation.terminal.SetBase(*root);
  auto opened = QUERN_TRY(project::Project::Open(options, diagnostics));
  QUERN_TRY(AddProviders(*opened, invocation));
  return opened;
}

int ShowDiagnostics(Invocation& invocation, Diagnostics& diagnostics) {
  diagnostics.Sort();
  for (const auto& warning : diagnostics.warnings()) invocation.terminal.PrintWarning(warning);
  for (const auto& error : diagnostics.errors()) invocation.terminal.PrintError(error);
  return static_cast<int>(diagnostics.errors().size());
}

std::unique_ptr<project::Project> LoadProject(Invocation& invocation, int& exit_code) {
  Diagnostics diagnostics;
  auto opened = OpenProject(invocation, diagnostics);
  if (!opened) {
    invocation.Failed(opened.error());
    exit_code = kCouldNotRun;
    return nullptr;
  }
  (*opened)->Load(diagnostics);
  if (diagnostics.ok()) return *std::move(opened);
  exit_code = kCouldNotRun;
  if (invocation.json()) {
    diagnostics.Sort();
    Json errors = Json::array();
    for (const auto& error : diagnostics.errors()) errors.push_back(error.ToJson());
    invocation.PrintJson({{"errors", errors}});
    return nullptr;
  }
  int count = ShowDiagnostics(invocation, diagnostics);
  invocation.terminal.Err(
      fmt::format("\nthe project has {} {}: nothing was run", count, count == 1 ? "error" : "errors"));
  return nullptr;
}

Result<OpenedWarehouse> OpenedWarehouse::Open(Invocation& invocation) {
  OpenedWarehouse out;
  if (auto folder = invocation.args.Get("warehouse")) {
    std::error_code error;
    if (!std::filesystem::is_directory(*folder, error)) {
      return Fail(Error(ErrorCode::kUsage, fmt::format("there is no folder '{}'", *folder))
                      .Hint("--warehouse names a warehouse's folder"));
    }
    out.own_ = QUERN_TRY(warehouse::Warehouse::Open({.root = std::filesystem::absolute(*folder)}));
    out.warehouse_ = out.own_.get();
    return out;
  }
  Diagnostics ignored;  // a mistake elsewhere in quern.yml does not keep anyone from looking at tables
  out.project_ = QUERN_TRY(project::Project::Open(QUERN_TRY(OpenOptionsOf(invocation)), ignored));
  out.warehouse_ = QUERN_TRY(out.project_->warehouse());
  return out;
}

Result<warehouse::TableName> ParseTableName(const std::string& text) {
  auto parts = Split(text, '.');
  if (parts.size() == 1) parts.insert(parts.begin(), "main");
  if (parts.size() != 2 || parts[0].empty() || parts[1].empty()) {
    return Fail(
        Error(ErrorCode::kUsage, fmt::format("'{}' is no table's name", text)).Hint("write it as schema.table"));
  }
  return warehouse::TableName{parts[0], parts[1]};
}

}  // namespace quern::cli
