#include "base/text.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/report_file.h"
#include "cli/table_text.h"
#include "cli/workspace.h"
#include "project/plan.h"
#include "project/summary.h"
#include "schedule/retry.h"

namespace quern::cli {
namespace {

using project::Project;
using project::RunSummary;
using schedule::RunContext;
using schedule::RunReport;
using schedule::Schedule;
using schedule::Workload;

std::string IntervalText(const Interval& interval, const TimeZone& zone) {
  return fmt::format("[{}, {}) {}", FormatShort(zone.ToLocal(interval.start)), FormatShort(zone.ToLocal(interval.end)),
                     zone.name());
}

// The interval that --date names, or the latest complete one.
Result<Interval> ChooseInterval(const Invocation& invocation, const Schedule& schedule) {
  const auto& timetable = schedule.timetable;
  auto now = invocation.clock->Now();
  auto date = invocation.args.Get("date");
  if (!date) {
    if (auto latest = timetable.LatestComplete(now)) return *latest;
    auto first = timetable.FirstFrom(timetable.bounds().start.value_or(now));
    return Fail(
        Error(ErrorCode::kUsage, fmt::format("schedule '{}' has no complete interval yet", schedule.name))
            .Hint(first ? fmt::format("its first one ends at {}", FormatInZone(first->end, timetable.zone())) : ""));
  }
  auto at = schedule::ParseFirstLogicalDate(*date, timetable.zone());
  if (!at) return Fail(Error(ErrorCode::kUsage, fmt::format("--date: {}", at.error().message())));
  auto interval = timetable.At(*at);
  if (!interval) {
    auto next = schedule::Timetable(timetable.cron()).FirstFrom(*at);
    return Fail(
        Error(ErrorCode::kUsage, fmt::format("'{}' is no logical date of schedule '{}' ({})", *date, schedule.name,
                                             timetable.cron().text()))
            .Hint(next ? fmt::format("the next one is {}", FormatShort(timetable.zone().ToLocal(next->start))) : ""));
  }
  if (interval->end > now) {
    return Fail(Error(ErrorCode::kUsage,
                      fmt::format("the interval {} is not complete yet", IntervalText(*interval, timetable.zone())))
                    .Hint(fmt::format("it ends at {}; a run comes after its interval",
                                      FormatInZone(interval->end, timetable.zone()))));
  }
  return *interval;
}

int CodeOf(const std::string& state) {
  return state == "success" ? kDone : state == "cancelled" ? kStopped : kFailed;
}

class Session {
 public:
  Session(Invocation& invocation, Project& project, Progress::Detail detail)
      : invocation_(invocation),
        project_(project),
        quiet_(Terminal::Options{.quiet = true}),
        progress_(invocation.json() ? quiet_ : invocation.terminal, detail) {}

  Result<schedule::RunnerOptions> Options() {
    auto* store = QUERN_TRY(project_.runs());
    return schedule::RunnerOptions{.threads = project_.threads(),
                                   .fail_fast = invocation_.args.Flag("fail-fast"),
                                   .retry = {},
                                   .cancellation = invocation_.cancellation,
                                   .observer = &progress_,
                                   .store = store,
                                   .log_root = project_.log_root()};
  }
  RunContext Base() {
    auto out = project_.BaseContext();
    out.full_refresh = invocation_.args.Flag("full-refresh");
    out.rerun = invocation_.args.Flag("rerun");
    return out;
  }
  Progress& progress() { return progress_; }

 private:
  Invocation& invocation_;
  Project& project_;
  Terminal quiet_;
  Progress progress_;
};

void ShowSkipped(const Terminal& terminal, const RunSummary& summary) {
  constexpr size_t kMost = 10;
  for (size_t i = 0; i < summary.skipped.size() && i < kMost; ++i) {
    const auto& note = summary.skipped[i];
    terminal.Say(terminal.Paint(fmt::format("  skipped {}{}", note.node, note.why.empty() ? "" : ": " + note.why),
                                Colour::kGrey));
  }
  if (summary.skipped.size() > kMost)
    terminal.Say(terminal.Paint(fmt::format("  and {} more skipped", summary.skipped.size() - kMost), Colour::kGrey));
}

std::string Closing(const std::string& state, const std::string& dag_run) {
  if (state == "cancelled") return fmt::format("stopped; go on with: quern retry {}", dag_run);
  if (state == "failed")
    return fmt::format("look closer with: quern logs {0}; then go on with: quern retry {0}", dag_run);
  return "";
}

Json TaskJson(const schedule::FinishedTask& task) {
  Json out = {{"node", task.node->id},
              {"kind", task.node->kind},
              {"state", task.state},
              {"message", task.result.message},
              {"seconds", std::chrono::duration<double>(task.ended - task.started).count()}};
  if (task.result.rows) out["rows"] = *task.result.rows;
  if (task.result.rows_discarded) out["rows_discarded"] = *task.result.rows_discarded;
  if (task.result.error) out["error"] = task.result.error->ToJson();
  return out;
}

// The end of one run, on the terminal or as JSON.
int Finish(Invocation& invocation, Project& project, const RunReport& report) {
  auto summary = project::Summarise(report);
  auto written = WriteReport(project);
  auto& terminal = invocation.terminal;
  if (invocation.json()) {
    Json tasks = Json::array();
    for (const auto& task : report.tasks) tasks.push_back(TaskJson(task));
    Json object = {{"dag_run", report.dag_run},
                   {"state", report.state},
                   {"already_done", report.already_done},
                   {"summary", summary.ToJson()},
                   {"tasks", tasks}};
    if (report.error) object["error"] = report.error->ToJson();
    if (written) object["report"] = written->path.string();
    invocation.PrintJson(object);
    return CodeOf(report.state);
  }
  if (report.error) terminal.PrintError(*report.error);
  if (report.already_done) {
    terminal.Say(
        fmt::format("{} is {} already; --rerun runs it again", report.dag_run, terminal.Paint("done", Colour::kGreen)));
    return CodeOf(report.state);
  }
  terminal.Say("");
  ShowSkipped(terminal, summary);
  terminal.Say(fmt::format("{} {} in {}: {}", report.dag_run, terminal.Paint(report.state, StateColour(report.state)),
                           FormatDuration(summary.seconds), summary.Line()));
  if (!written) {
    terminal.PrintWarning(written.error());
  } else {
    ShowModels(terminal, written->models, 3);
    terminal.Say(terminal.Paint("report: " + written->path.string(), Colour::kGrey));
  }
  auto closing = Closing(report.state, report.dag_run);
  if (!closing.empty()) terminal.Say(closing);
  return CodeOf(report.state);
}

int FinishBackfill(Invocation& invocation, Project& project, const schedule::BackfillReport& report,
                   const RunSummary& total) {
  auto& terminal = invocation.terminal;
  auto written = WriteReport(project);
  if (invocation.json()) {
    Json items = Json::array();
    for (const auto& item : report.items) {
      items.push_back({{"dag_run", item.dag_run},
                       {"state", item.state},
                       {"replay", item.replay},
                       {"start", FormatUtc(item.interval.start)},
                       {"end", FormatUtc(item.interval.end)}});
    }
    Json object = {{"state", report.state},
                   {"runs", items},
                   {"remaining", report.remaining},
                   {"advice", report.advice},
                   {"summary", total.ToJson()}};
    if (written) object["report"] = written->path.string();
    invocation.PrintJson(object);
    return CodeOf(report.state);
  }
  int done_before = 0, ran = 0;
  for (const auto& item : report.items) ++(item.state == "done" ? done_before : ran);
  terminal.Say("");
  ShowSkipped(terminal, total);
  auto runs = fmt::format("{} {}", ran, ran == 1 ? "run" : "runs");
  if (done_before > 0) runs += fmt::format(", {} done before", done_before);
  if (report.remaining > 0) runs += fmt::format(", {} not reached", report.remaining);
  terminal.Say(fmt::format("{} in {} ({}): {}", terminal.Paint(report.state, StateColour(report.state)),
                           FormatDuration(total.seconds), runs, total.Line()));
  if (written) {
    ShowModels(terminal, written->models, report.items.size() + 1);
    terminal.Say(terminal.Paint("report: " + written->path.string(), Colour::kGrey));
  }
  if (!written) terminal.PrintWarning(written.error());
  if (!report.advice.empty()) terminal.Say(report.advice);
  return CodeOf(report.state);
}

// Backfills, and reruns of one interval.
int PlayIntervals(Invocation& invocation, Project& project, const Schedule& schedule, const Workload& work,
                  Timestamp from, Timestamp to, Progress::Detail detail) {
  Session session(invocation, project, detail);
  auto runner = session.Options();
  if (!runner) return invocation.Failed(runner.error());
  RunSummary total;
  auto& terminal = invocation.terminal;
  bool talks = !invocation.json();
  schedule::BackfillOptions options{.runner = *runner,
                                    .base = session.Base(),
                                    .rerun = invocation.args.Flag("rerun"),
                                    .preparer = &project.preparer(),
                                    .interval_begins = {},
                                    .interval_ends = {},
                                    .restored = {}};
  options.interval_ends = [&](const RunContext& run, const RunReport& report) {
    auto summary = project::Summarise(report);
    if (!report.already_done) total.Add(summary);
    if (!talks) return;
    session.progress().ClearLive();
    if (report.error) terminal.PrintError(*report.error);
    terminal.Say(fmt::format(
        "{}  {}  {}  {}", Fit(run.dag_run, 28),
        terminal.Paint(Fit(StateWord(report.already_done ? "done" : report.state), 9), StateColour(report.state)),
        Fit(FormatDuration(summary.seconds), 8, true), report.already_done ? "" : summary.Line()));
  };
  options.restored = [&](const std::vector<schedule::RerunPreparer::Restored>& restored) {
    if (!talks) return;
    for (const auto& each : restored) {
      terminal.Say(terminal.Paint(each.version < 0
                                      ? fmt::format("{} is dropped: the rerun makes it anew", each.table)
                                      : fmt::format("{} is taken back to version {}", each.table, each.version),
                                  Colour::kGrey));
    }
  };
  auto report = schedule::Backfill(schedule, work, from, to, options);
  session.progress().ClearLive();
  if (!report) return invocation.Failed(report.error());
  if (total.state.empty()) total.state = report->state;
  return FinishBackfill(invocation, project, *report, total);
}

struct Chosen {
  std::optional<Schedule> schedule;
  Workload work;
};

Result<Chosen> Choose(Invocation& invocation, Project& project, const std::optional<std::string>& name) {
  Chosen out;
  std::vector<Error> warnings;
  auto select = invocation.args.List("select"), exclude = invocation.args.List("exclude");
  if (name) {
    out.schedule = QUERN_TRY(project.FindSchedule(*name));
    out.work = QUERN_TRY(project.SelectFor(*name, select, exclude, &warnings));
  } else {
    out.work = QUERN_TRY(project.Select(select, exclude, &warnings));
    out.work.exclusive = false;
  }
  if (!invocation.json()) {
    for (const auto& warning : warnings) invocation.terminal.PrintWarning(warning);
  }
  bool any = false;
  for (graph::NodeIndex i = 0; i < project.graph().size(); ++i)
    any |= out.work.selected[static_cast<size_t>(i)] && project.graph().node(i).runs;
  if (!any) {
    return Fail(Error(ErrorCode::kSelector, project.graph().size() == 0
                                                ? "the project has no node yet: there is nothing to run"
                                                : "the selection takes no node that runs")
                    .Hint(project.graph().size() == 0 ? "add an ingest/*.yml, a dbt model or a script"
                                                      : "quern ls shows what is there"));
  }
  return out;
}

}  // namespace

int RunPlan(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  auto chosen = Choose(invocation, *project, invocation.args.Positional("SCHEDULE"));
  if (!chosen) return invocation.Failed(chosen.error());
  RunContext context = project->ManualContext();
  std::string interval_text = "no interval: a run outside schedules";
  if (chosen->schedule) {
    auto interval = ChooseInterval(invocation, *chosen->schedule);
    if (!interval) return invocation.Failed(interval.error());
    context = schedule::ContextOf(*chosen->schedule, *interval, context);
    interval_text = IntervalText(*interval, chosen->schedule->timetable.zone());
  }
  auto plan = project::MakePlan(*project, chosen->work, context);
  if (!plan) return invocation.Failed(plan.error());
  bool again = invocation.args.Flag("rerun") || invocation.args.Flag("full-refresh");
  const auto& graph = project->graph();
  TextTable table{.columns = {{"node"}, {"kind"}, {"why"}, {"last rows", true}, {"last time", true}, {""}}, .rows = {}};
  Json list = Json::array();
  double seconds = 0;
  int to_do = 0;
  std::vector<std::string> outlooks;
  for (const auto& planned : *plan) {
    const auto& node = graph.node(planned.node);
    bool done = planned.done && !again;
    if (!done) ++to_do;
    if (!done && planned.last) seconds += planned.last->seconds;
    Json object = {{"node", node.id}, {"kind", node.kind}, {"why", planned.why}, {"done", done}};
    object["last"] = planned.last ? Json{{"dag_run", planned.last->dag_run},
                                         {"state", planned.last->state},
                                         {"seconds", planned.last->seconds},
                                         {"rows", planned.last->rows ? Json(*planned.last->rows) : Json()}}
                                  : Json();
    if (!planned.outlook.empty()) {
      object["outlook"] = planned.outlook;
      outlooks.push_back(fmt::format("{}: {}", node.id, planned.outlook));
    }
    list.push_back(object);
    auto rows = planned.last && planned.last->rows ? std::optional(FormatCount(*planned.last->rows)) : std::nullopt;
    auto time = planned.last ? std::optional(FormatDuration(planned.last->seconds)) : std::nullopt;
    table.Add({node.id, node.kind, planned.why, rows, time, done ? "done already" : ""});
  }
  if (invocation.json()) {
    Json object = {{"dag_run", context.dag_run}, {"nodes", list}};
    object["interval"] =
        chosen->schedule ? Json{{"start", FormatUtc(context.interval.start)}, {"end", FormatUtc(context.interval.end)}}
                         : Json();
    invocation.PrintJson(object);
    return kDone;
  }
  auto& terminal = invocation.terminal;
  // A run outside schedules is named after the moment it starts at.
  auto name = chosen->schedule ? context.dag_run : std::string("a run outside schedules");
  terminal.Out(terminal.Paint(name, Colour::kBold) + (chosen->schedule ? "  " + interval_text : ""));
  terminal.OutRaw(DrawPlain(table, terminal.width(), terminal));
  if (!outlooks.empty()) terminal.OutRaw("\n");
  for (const auto& outlook : outlooks) terminal.Out(outlook);
  auto line = fmt::format("\n{} of {} {} would run", to_do, plan->size(), plan->size() == 1 ? "node" : "nodes");
  if (seconds > 0) line += fmt::format("; together they took {} the last time", FormatDuration(seconds));
  terminal.Say(line);
  return kDone;
}

int RunRun(Invocation& invocation) {
  auto name = invocation.args.Positional("SCHEDULE");
  if (!name && invocation.args.Flag("date")) {
    return invocation.Failed(
        Error(ErrorCode::kUsage, "--date needs a schedule").Hint("quern run SCHEDULE --date 2013-05-01"));
  }
  if (!name && invocation.args.Flag("rerun")) {
    return invocation.Failed(
        Error(ErrorCode::kUsage, "--rerun needs a schedule: a run outside schedules is a new one each time"));
  }
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  auto chosen = Choose(invocation, *project, name);
  if (!chosen) return invocation.Failed(chosen.error());
  Session session(invocation, *project, Progress::Detail::kEveryNode);
  RunContext context = project->ManualContext();
  if (chosen->schedule) {
    auto interval = ChooseInterval(invocation, *chosen->schedule);
    if (!interval) return invocation.Failed(interval.error());
    if (invocation.args.Flag("rerun")) {
      return PlayIntervals(invocation, *project, *chosen->schedule, chosen->work, interval->start, interval->start,
                           Progress::Detail::kEveryNode);
    }
    context = schedule::ContextOf(*chosen->schedule, *interval, session.Base());
  } else {
    context.full_refresh = invocation.args.Flag("full-refresh");
  }
  auto options = session.Options();
  if (!options) return invocation.Failed(options.error());
  auto report = schedule::Run(chosen->work, context, *options);
  session.progress().ClearLive();
  if (!report) return invocation.Failed(report.error());
  return Finish(invocation, *project, *report);
}

int RunBackfill(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  auto chosen = Choose(invocation, *project, invocation.args.Positional("SCHEDULE"));
  if (!chosen) return invocation.Failed(chosen.error());
  const auto& timetable = chosen->schedule->timetable;
  auto from = timetable.bounds().start;
  auto to = std::optional<Timestamp>(timetable.bounds().end);
  for (bool first : {true, false}) {
    auto text = invocation.args.Get(first ? "from" : "to");
    if (!text) continue;
    auto at = first ? schedule::ParseFirstLogicalDate(*text, timetable.zone())
                    : schedule::ParseLastLogicalDate(*text, timetable.zone());
    if (!at)
      return invocation.Failed(
          Error(ErrorCode::kUsage, fmt::format("--{}: {}", first ? "from" : "to", at.error().message())));
    (first ? from : to) = *at;
  }
  if (!from) {
    return invocation.Failed(
        Error(ErrorCode::kUsage, fmt::format("schedule '{}' has no start: say --from DATE", chosen->schedule->name)));
  }
  if (!to) to = invocation.clock->Now();
  if (*to < *from) {
    auto date = [&](Timestamp at) { return FormatShort(timetable.zone().ToLocal(at)); };
    bool asked_from = invocation.args.Get("from").has_value(), asked_to = invocation.args.Get("to").has_value();
    return invocation.Failed(
        Error(ErrorCode::kUsage,
              fmt::format("{} lies before {}", asked_to ? "--to" : "the end of the schedule, " + date(*to) + ",",
                          asked_from ? "--from" : "the start of the schedule, " + date(*from))));
  }
  return PlayIntervals(invocation, *project, *chosen->schedule, chosen->work, *from, *to,
                       invocation.args.Flag("verbose") ? Progress::Detail::kEveryNode : Progress::Detail::kTroubleOnly);
}

int RunRetry(Invocation& invocation) {
  int code = kDone;
  auto project = LoadProject(invocation, code);
  if (!project) return code;
  auto store = project->runs_if_any();
  if (!store) return invocation.Failed(store.error());
  if (!*store) return invocation.Failed(Error(ErrorCode::kRunNotFound, "nothing was run yet"));
  auto find = [&]() -> Result<schedule::DagRun> {
    if (auto id = invocation.args.Positional("RUN")) return (*store)->FindRun(*id);
    schedule::RunStore::Filter filter;
    filter.states = {"failed", "cancelled", "interrupted"};
    filter.limit = 1;
    auto runs = QUERN_TRY((*store)->Runs(filter));
    if (runs.empty())
      return Fail(Error(ErrorCode::kRunNotFound, "no run failed, was cancelled or interrupted")
                      .Hint("quern runs shows them all"));
    return runs[0];
  };
  auto run = find();
  if (!run) return invocation.Failed(run.error());
  auto work = project->Select(run->select, run->exclude);
  if (!work) return invocation.Failed(work.error());
  TimeZone zone = TimeZone::Utc();
  if (auto config = project->config().FindSchedule(run->dag)) zone = config->zone;
  work->exclusive = run->dag != "manual";
  Session session(invocation, *project, Progress::Detail::kEveryNode);
  auto options = session.Options();
  if (!options) return invocation.Failed(options.error());
  auto base = session.Base();
  if (auto schedule = project->FindSchedule(run->dag)) base.next = schedule->timetable.At(run->interval.end);
  auto report = schedule::Retry(*run, *work, base, zone, *options);
  session.progress().ClearLive();
  if (!report) return invocation.Failed(report.error());
  return Finish(invocation, *project, *report);
}

}  // namespace quern::cli
