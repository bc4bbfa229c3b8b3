#include "cli/workspace.h"
#include "ingest/provider.h"

namespace quern::cli {

Result<void> AddProviders(project::Project& project, const Invocation&) {
  auto warehouse = [&project] { return project.warehouse(); };
  project.AddProvider(std::make_unique<ingest::IngestProvider>(ingest::ProviderOptions{.project = project.root(),
                                                                                       .package = project.config().name,
                                                                                       .warehouse_root = project.target().warehouse,
                                                                                       .threads = project.threads(),
                                                                                       .warehouse = warehouse}));
  return {};
}

}  // namespace quern::cli
