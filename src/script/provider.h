#pragma once
#include <memory>
#include <string>
#include <vector>

#include "schedule/node_provider.h"
#include "script/task.h"

namespace quern::script {

/// scripts/*.yml as nodes `script.<name>`: users' programs in any language, and their runs as tasks.
class ScriptProvider : public schedule::NodeProvider {
 public:
  explicit ScriptProvider(ScriptOptions options);

  std::string_view name() const override { return "script"; }
  std::vector<schedule::Node> Load(Diagnostics& diagnostics) override;
  /// Requirements files that are missing or not pinned.
  void Check(Diagnostics& diagnostics) override;
  Result<void> BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) override;
  Result<std::unique_ptr<schedule::Task>> MakeTask(const schedule::Node& node,
                                                   const schedule::RunContext& run) override;
  Result<void> EndRun(const schedule::RunContext& run, const std::vector<schedule::FinishedTask>& tasks) override;

 private:
  ScriptOptions options_;
  std::vector<ScriptConfig> scripts_;
};

}  // namespace quern::script
