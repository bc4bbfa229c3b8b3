#include "cli/report_file.h"

#include "cli/help.h"
#include "io/files.h"
#include "report/collect.h"

namespace quern::cli {

Result<std::filesystem::path> WriteReport(project::Project& project) {
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
  auto path = project.report_path();
  QUERN_TRY(io::WriteFileAtomically(path, report::RenderHtml(data)));
  return path;
}

}  // namespace quern::cli
