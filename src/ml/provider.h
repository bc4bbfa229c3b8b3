#pragma once
#include <vector>

#include "ml/nodes/services.h"

namespace quern::ml {

/// Models (`ml/*.yml`) as nodes of the graph: for each model monitor -> retrain -> dataset -> train (one node for each
/// candidate) -> promote -> predict. Predictions are monitored as they stood before the run, so that the circle closes
/// through time.
class MlProvider : public schedule::NodeProvider {
 public:
  explicit MlProvider(ProviderOptions options) : options_(std::move(options)) {}

  std::string_view name() const override { return "ml"; }
  std::vector<schedule::Node> Load(Diagnostics& diagnostics) override;
  void Check(Diagnostics& diagnostics) override;
  Result<std::string> Outlook(const schedule::Node& node, const schedule::RunContext& run) override;
  /// In a rerun: gives the alias `champion` back to the version that had it before the rerun's first interval.
  Result<void> BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) override;
  Result<std::unique_ptr<schedule::Task>> MakeTask(const schedule::Node& node,
                                                   const schedule::RunContext& run) override;
  Result<void> EndRun(const schedule::RunContext&, const std::vector<schedule::FinishedTask>&) override { return {}; }

  const std::vector<ModelConfig>& models() const { return models_; }

 private:
  std::vector<schedule::Node> NodesOf(const ModelConfig& model) const;

  ProviderOptions options_;
  std::vector<ModelConfig> models_;
};

/// Every model of a project's ml/*.yml, in the order of the files.
std::vector<ModelConfig> LoadModels(const std::filesystem::path& project, Diagnostics& diagnostics);

}  // namespace quern::ml
