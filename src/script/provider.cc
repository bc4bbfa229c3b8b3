#include "script/provider.h"

#include <fmt/format.h>

#include "io/files.h"
#include "io/python_environment.h"

namespace quern::script {
namespace fs = std::filesystem;

ScriptProvider::ScriptProvider(ScriptOptions options) : options_(std::move(options)) {
  if (options_.environments.empty()) options_.environments = options_.project / ".quern/envs";
  if (options_.work.empty()) options_.work = options_.project / ".quern/work";
}

std::vector<schedule::Node> ScriptProvider::Load(Diagnostics& diagnostics) {
  scripts_.clear();
  auto files = io::Glob(options_.project / "scripts", "*.{yml,yaml}");
  if (!diagnostics.Check(files)) return {};
  for (const auto& file : *files) {
    auto text = io::ReadFile(file);
    if (!diagnostics.Check(text)) continue;
    for (auto& script : ParseScripts(*text, fs::relative(file, options_.project).generic_string(), diagnostics))
      scripts_.push_back(std::move(script));
  }
  std::vector<schedule::Node> nodes;
  for (const auto& script : scripts_) {
    schedule::Node node;
    node.id = script.id();
    node.kind = "script";
    node.name = script.name;
    node.package = options_.package;
    node.fqn = {options_.package, "scripts", script.name};
    node.path = script.file;
    node.pos = script.pos;
    node.tags = script.tags;
    node.description = script.description;
    node.config = {{"retries", script.retries}};
    if (!script.retry_delay.empty()) node.config["retry_delay"] = script.retry_delay;
    node.reads = script.reads;
    for (const auto& write : script.writes) node.writes.push_back(write.table);
    node.depends_on = script.depends_on;
    node.depends_on_pos = script.depends_on_pos;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

void ScriptProvider::Check(Diagnostics& diagnostics) {
  for (const auto& script : scripts_) {
    if (script.requirements.empty()) continue;
    auto text = io::ReadFile(options_.project / script.requirements);
    if (!text) {
      diagnostics.Add(Error(text.error().code(), fmt::format("the requirements file of script '{}' cannot be read: {}",
                                                             script.name, text.error().message()))
                          .At(script.requirements_pos));
    } else {
      diagnostics.Check(io::CheckRequirements(*text, script.requirements.generic_string()));
    }
  }
}

Result<void> ScriptProvider::BeginRun(const schedule::RunContext&, const std::vector<const schedule::Node*>&) {
  return {};
}
Result<void> ScriptProvider::EndRun(const schedule::RunContext&, const std::vector<schedule::FinishedTask>&) {
  return {};
}

Result<std::unique_ptr<schedule::Task>> ScriptProvider::MakeTask(const schedule::Node& node,
                                                                 const schedule::RunContext&) {
  for (const auto& script : scripts_) {
    if (script.id() == node.id) return std::make_unique<ScriptTask>(script, options_);
  }
  return Fail(ErrorCode::kUnknownNode, fmt::format("there is no script '{}'", node.id));
}

}  // namespace quern::script
