#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "project/project.h"
#include "report/model_data.h"
#include "report/model_reader.h"

namespace quern::cli {

/// How the project's models are found in its warehouse.
report::ModelReaderOptions ModelOptionsOf(const project::Project& project);

/// What is known of the project's models: their tables in `monitoring`, and the registry. Empty, and no engine is
/// started, when there is nothing of the kind.
Result<std::vector<report::ModelData>> ReadProjectModels(project::Project& project);

/// The registry's models; none when nothing was ever tracked. Thread-safe.
Result<std::vector<report::RegistryModel>> ReadRegistry(project::Project& project);

struct WrittenReport {
  std::filesystem::path path;
  std::vector<report::ModelData> models;
};
/// Writes the project's report.html from its graph, the newest runs of its history, and its models.
Result<WrittenReport> WriteReport(project::Project& project);

/// What the run or the backfill means for the models: the last `periods` of each.
void ShowModels(const Terminal& terminal, const std::vector<report::ModelData>& models, size_t periods);

}  // namespace quern::cli
