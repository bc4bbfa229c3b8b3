#include "cli/report_file.h"

#include "cli/help.h"
#include "cli/table_text.h"
#include "io/files.h"
#include "report/collect.h"
#include "report/model_summary.h"
#include "tracking/store.h"

namespace quern::cli {

report::ModelReaderOptions ModelOptionsOf(const project::Project& project) {
  report::ModelReaderOptions options;
  for (const auto& [name, schedule] : project.config().schedules) options.zones.emplace(name, schedule.zone);
  const auto& graph = project.graph();
  for (graph::NodeIndex i = 0; i < graph.size(); ++i) {
    const auto& node = graph.node(i);
    if (node.kind != "predict" || !node.id.starts_with("predict.")) continue;
    auto& table = options.known[node.id.substr(std::string_view("predict.").size())];
    if (!node.writes.empty()) table = {node.writes[0].schema, node.writes[0].table};
  }
  return options;
}

Result<std::vector<report::RegistryModel>> ReadRegistry(project::Project& project) {
  std::vector<report::RegistryModel> out;
  tracking::Store* store = QUERN_TRY(project.tracking_if_any());
  if (store == nullptr) return out;
  for (const auto& model : QUERN_TRY(store->ListModels())) {
    report::RegistryModel one{model.name, model.description, {}};
    for (auto& version : QUERN_TRY(store->ListVersions(model.name))) {
      one.versions.push_back({version.version, version.created, std::move(version.run_id), std::move(version.status),
                              std::move(version.description), std::move(version.aliases)});
    }
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::vector<report::ModelData>> ReadProjectModels(project::Project& project) {
  std::vector<report::ModelData> models;
  if (report::HasMonitoring(project.target().warehouse))
    models = QUERN_TRY(report::ReadModels(*QUERN_TRY(project.warehouse()), ModelOptionsOf(project)));
  auto registry = ReadRegistry(project);
  report::AddRegistry(models, registry ? *registry : std::vector<report::RegistryModel>{});
  if (!registry) {
    for (auto& model : models) model.problems.push_back("the registry: " + registry.error().message());
  }
  return models;
}

Result<WrittenReport> WriteReport(project::Project& project) {
  constexpr int64_t kMostRuns = 60;
  report::ReportData data;
  if (schedule::RunStore* store = QUERN_TRY(project.runs_if_any())) {
    auto runs = QUERN_TRY(store->Runs({.dag = {}, .states = {}, .from = {}, .to = {}, .limit = kMostRuns}));
    std::reverse(runs.begin(), runs.end());
    data = QUERN_TRY(report::Collect(*store, project.graph(), runs));
  }
  data.project = project.config().name;
  data.target = project.target().name;
  data.git_commit = project.BaseContext().git_commit;
  data.version = Version();
  data.generated = project.clock().Now();
  data.models = QUERN_TRY(ReadProjectModels(project));
  auto path = project.report_path();
  QUERN_TRY(io::WriteFileAtomically(path, report::RenderHtml(data)));
  return WrittenReport{path, std::move(data.models)};
}

void ShowModels(const Terminal& terminal, const std::vector<report::ModelData>& models, size_t periods) {
  for (const auto& model : models) {
    if (model.empty()) continue;
    terminal.Say("");
    terminal.Say(terminal.Paint(report::SummaryLine(model), Colour::kBold));
    auto summary = report::SummariseModel(model, periods);
    if (summary.rows.empty()) continue;
    TextTable table;
    for (size_t i = 0; i < summary.columns.size(); ++i)
      table.columns.push_back({summary.columns[i], summary.numbers[i]});
    for (const auto& row : summary.rows) table.Add({row.begin(), row.end()});
    auto text = DrawPlain(table, terminal.width(), terminal);
    while (text.ends_with('\n')) text.pop_back();
    terminal.Say(text);
  }
}

}  // namespace quern::cli
