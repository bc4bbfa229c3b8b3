#include "cli/workspace.h"
#include "dbt/provider.h"
#include "ingest/provider.h"
#include "ml/provider.h"
#include "script/provider.h"

namespace quern::cli {

ml::ProviderOptions ModelOptions(project::Project& project) {
  const auto beside_state = project.target().state.parent_path();
  return {.project = project.root(),
          .package = project.config().name,
          .environments = beside_state / "envs",
          .work = beside_state / "work",
          .warehouse = [&project] { return project.warehouse(); },
          .tracking = [&project] { return project.tracking(); },
          .tracking_if_any = [&project] { return project.tracking_if_any(); }};
}

Result<void> AddProviders(project::Project& project, const Invocation& invocation) {
  auto warehouse = [&project] { return project.warehouse(); };
  project.AddProvider(
      std::make_unique<ingest::IngestProvider>(ingest::ProviderOptions{.project = project.root(),
                                                                       .package = project.config().name,
                                                                       .warehouse_root = project.target().warehouse,
                                                                       .threads = project.threads(),
                                                                       .warehouse = warehouse}));
  auto beside_state = project.target().state.parent_path();
  project.AddProvider(
      std::make_unique<script::ScriptProvider>(script::ScriptOptions{.project = project.root(),
                                                                     .package = project.config().name,
                                                                     .environments = beside_state / "envs",
                                                                     .work = beside_state / "work",
                                                                     .warehouse = warehouse}));
  project.AddProvider(std::make_unique<ml::MlProvider>(ModelOptions(project)));
  if (const auto& folder = project.config().dbt_project) {
    auto prefix = folder->lexically_relative(project.root()).generic_string();
    dbt::ProviderOptions options{.project_root = project.root(),
                                 .workspace = {},
                                 .warehouse = warehouse,
                                 .memory_limit = project.target().memory_limit};
    options.workspace.project_dir = *folder;
    options.workspace.shown_prefix = prefix == "." ? "" : prefix + "/";
    if (auto profiles = invocation.args.Get("profiles-dir"))
      options.workspace.profiles_dir = std::filesystem::absolute(*profiles);
    options.workspace.target = project.target().name;
    options.workspace.threads = project.threads();
    options.workspace.quern = dbt::QuernTarget{
        .warehouse = project.target().warehouse, .name = project.target().name, .threads = project.threads()};
    options.workspace.only_quern = true;
    options.workspace.clock = &project.clock();
    auto& call = options.workspace.invocation;
    call.id = project.invocation_id();
    call.which = "build";
    call.started = project.clock().Now();
    call.full_refresh = invocation.args.Flag("full-refresh");
    call.vars = project.vars();
    project.AddProvider(std::make_unique<dbt::Provider>(std::move(options)));
  }
  return {};
}

}  // namespace quern::cli
