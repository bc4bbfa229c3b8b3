#include "base/text.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/report_file.h"
#include "cli/up.h"
#include "cli/workspace.h"
#include "project/summary.h"
#include "schedule/scheduler.h"

namespace quern::cli {
namespace {

using schedule::RunContext;
using schedule::RunReport;
using schedule::Schedule;

// A line for each run that ends; nodes only when something is wrong with them.
class UpLog : public schedule::RunObserver {
 public:
  explicit UpLog(const Invocation& invocation) : invocation_(invocation) {}
  void RunBegins(const RunContext& run, int total, int done) override {
    Say(fmt::format("{}: begins, {} nodes{}", run.dag_run, total,
                    done > 0 ? fmt::format(", {} done before", done) : ""));
  }
  void TaskEnds(const schedule::FinishedTask& task, int, int) override {
    if (task.state != "failed" && task.state != "warned") return;
    Say(fmt::format("{} {}: {}", task.node->id, StateWord(task.state),
                    task.result.error ? task.result.error->ToString() : task.result.message));
  }
  void Say(const std::string& text) const {
    auto now = FormatUtc(std::chrono::floor<std::chrono::seconds>(invocation_.clock->Now()));
    invocation_.terminal.Say(invocation_.terminal.Paint(now, Colour::kGrey) + " " + text);
    std::fflush(stdout);
  }

 private:
  const Invocation& invocation_;
};

}  // namespace

int RunUp(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  auto schedules = project->AllSchedules();
  if (schedules.empty()) {
    return invocation.Failed(Error(ErrorCode::kProject, "quern.yml has no schedule: there is nothing to keep running")
                                 .Hint("add one under 'schedules'"));
  }
  auto store = project->runs();
  if (!store) return invocation.Failed(store.error());
  UpLog log(invocation);
  schedule::TaskSlots slots(project->threads());
  std::mutex report_mutex;

  auto runner_options = [&](const schedule::Schedule&, const Cancellation& cancellation) {
    return schedule::RunnerOptions{.threads = project->threads(),
                                   .fail_fast = invocation.args.Flag("fail-fast"),
                                   .retry = {},
                                   .cancellation = cancellation,
                                   .observer = &log,
                                   .store = *store,
                                   .log_root = project->log_root(),
                                   .slots = &slots,
                                   .requeue_when_cancelled = true};
  };
  RunContext base = project->BaseContext();
  auto ended = [&](const RunReport& report) {
    auto summary = project::Summarise(report);
    log.Say(
        fmt::format("{}: {} in {}: {}", report.dag_run, report.state, FormatDuration(summary.seconds), summary.Line()));
    std::lock_guard lock(report_mutex);
    auto written = WriteReport(*project);
    if (!written) log.Say("the report cannot be written: " + written.error().message());
  };
  auto run = [&](const Schedule& schedule, const Interval& interval,
                 const Cancellation& cancellation) -> Result<RunReport> {
    auto work = QUERN_TRY(project->SelectFor(schedule.name, {}, {}));
    auto report = QUERN_TRY(
        schedule::Run(work, schedule::ContextOf(schedule, interval, base), runner_options(schedule, cancellation)));
    ended(report);
    return report;
  };
  auto resume = [&](const Schedule& schedule, const Cancellation& cancellation) -> Result<void> {
    auto work = QUERN_TRY(project->SelectFor(schedule.name, {}, {}));
    schedule::BackfillOptions options{
        .runner = runner_options(schedule, cancellation),
        .base = base,
        .preparer = &project->preparer(),
        .interval_begins = {},
        .interval_ends = [&](const RunContext&, const RunReport& report) { ended(report); },
        .restored = {}};
    QUERN_TRY(schedule::ResumeRerun(schedule, work, options));
    return {};
  };
  schedule::Scheduler scheduler(
      schedules, {.clock = invocation.clock.get(), .store = *store, .parallel = static_cast<int>(schedules.size())},
      run, resume);
  auto services = StartServices(invocation, *project, scheduler);
  if (!services) return invocation.Failed(services.error());
  std::vector<std::string> names;
  for (const auto& each : schedules) names.push_back(each.name);
  log.Say(fmt::format("up: {}{}", Join(names, ", "), *services ? "; " + (*services)->Where() : ""));
  scheduler.Loop(invocation.cancellation);
  services->reset();
  log.Say("stopped; what was under way goes on with the next quern up");
  return kDone;
}

}  // namespace quern::cli
