#include <poll.h>

#include <fstream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/table_text.h"
#include "cli/workspace.h"
#include "schedule/task_log.h"

namespace quern::cli {
namespace {

namespace fs = std::filesystem;
using schedule::DagRun;
using schedule::RunStore;
using schedule::TaskInstance;

Json Moment(const std::optional<Timestamp>& at) {
  return at ? Json(FormatUtc(*at)) : Json();
}

double Seconds(const DagRun& run, Timestamp now) {
  if (!run.started) return 0;
  return std::chrono::duration<double>(run.ended.value_or(now) - *run.started).count();
}

Json TaskJson(const TaskInstance& task) {
  Json out = {{"node", task.node},
              {"kind", task.kind},
              {"state", task.state},
              {"try", task.try_number},
              {"started", Moment(task.started)},
              {"ended", Moment(task.ended)},
              {"seconds", task.seconds},
              {"message", task.message},
              {"values", task.values}};
  out["rows"] = task.rows ? Json(*task.rows) : Json();
  out["rows_discarded"] = task.rows_discarded ? Json(*task.rows_discarded) : Json();
  out["error"] = task.error.value_or(Json());
  return out;
}

Json RunJson(const DagRun& run) {
  return {{"dag_run", run.id},
          {"schedule", run.dag},
          {"state", run.state},
          {"logical_date", FormatUtc(run.logical_date)},
          {"interval", {{"start", FormatUtc(run.interval.start)}, {"end", FormatUtc(run.interval.end)}}},
          {"select", run.select},
          {"exclude", run.exclude},
          {"target", run.target},
          {"git_commit", run.git_commit},
          {"invocation_id", run.invocation_id},
          {"full_refresh", run.full_refresh},
          {"rerun", run.rerun},
          {"attempt", run.attempt},
          {"started", Moment(run.started)},
          {"ended", Moment(run.ended)},
          {"message", run.message},
          {"vars", run.vars}};
}

std::string Clock(const std::optional<Timestamp>& at) {
  return at ? FormatUtc(std::chrono::floor<std::chrono::seconds>(*at)) : "-";
}

// The project's history without loading its nodes: looking back works when the project of today does not load.
struct History {
  std::unique_ptr<project::Project> project;
  RunStore* store = nullptr;
};

Result<History> OpenHistory(Invocation& invocation) {
  Diagnostics ignored;
  History out;
  out.project = QUERN_TRY(project::Project::Open(QUERN_TRY(OpenOptionsOf(invocation)), ignored));
  out.store = QUERN_TRY(out.project->runs_if_any());
  return out;
}

Result<int> ShowRuns(Invocation& invocation) {
  auto history = QUERN_TRY(OpenHistory(invocation));
  std::vector<DagRun> runs;
  auto limit = QUERN_TRY(invocation.args.Int("limit", 0)).value_or(20);
  if (history.store) {
    RunStore::Filter filter;
    filter.dag = invocation.args.Positional("RUN").value_or("");
    filter.states = invocation.args.List("state");
    filter.limit = limit == 0 ? -1 : limit;
    runs = QUERN_TRY(history.store->Runs(filter));
  }
  auto& terminal = invocation.terminal;
  if (invocation.json()) {
    Json list = Json::array();
    for (const auto& run : runs) list.push_back(RunJson(run));
    invocation.PrintJson({{"runs", list}});
    return kDone;
  }
  if (runs.empty()) {
    terminal.Say(history.store ? "no such runs" : "nothing was run yet");
    return kDone;
  }
  TextTable table{
      .columns = {{"run"}, {"state"}, {"started"}, {"took", true}, {"attempts", true}, {"code"}, {"message"}},
      .rows = {}};
  auto now = invocation.clock->Now();
  for (const auto& run : runs) {
    auto commit = run.git_commit.substr(0, 8) + (run.git_commit.ends_with("-dirty") ? "-dirty" : "");
    table.Add({run.id, run.state, Clock(run.started), FormatDuration(Seconds(run, now)), std::to_string(run.attempt),
               commit.empty() ? std::nullopt : std::optional(commit), run.message});
  }
  terminal.OutRaw(DrawPlain(table, terminal.width(), terminal));
  return kDone;
}

Result<int> ShowRun(Invocation& invocation, const std::string& id) {
  auto history = QUERN_TRY(OpenHistory(invocation));
  if (!history.store)
    return Fail(Error(ErrorCode::kRunNotFound, fmt::format("there is no run '{}': nothing was run yet", id)));
  auto run = QUERN_TRY(history.store->FindRun(id));
  auto tasks = QUERN_TRY(history.store->Tasks(run.key));
  if (invocation.json()) {
    Json object = RunJson(run);
    object["tasks"] = Json::array();
    for (const auto& task : tasks) object["tasks"].push_back(TaskJson(task));
    invocation.PrintJson(object);
    return kDone;
  }
  auto& terminal = invocation.terminal;
  terminal.Out(fmt::format("{}  {}  {}", terminal.Paint(run.id, Colour::kBold),
                           terminal.Paint(run.state, StateColour(run.state)),
                           FormatDuration(Seconds(run, invocation.clock->Now()))));
  TextTable table{.columns = {{"node"}, {"state"}, {"try", true}, {"rows", true}, {"took", true}, {"message"}},
                  .rows = {}};
  for (const auto& task : tasks) {
    table.Add({task.node, task.state, std::to_string(task.try_number),
               task.rows ? std::optional(FormatCount(*task.rows)) : std::nullopt,
               task.started ? std::optional(FormatDuration(task.seconds)) : std::nullopt, task.message});
  }
  terminal.OutRaw(DrawPlain(table, terminal.width(), terminal));
  return kDone;
}

// --- logs ----------------------------------------------------------------------------------------------------------
Result<std::string> MatchTask(const std::vector<TaskInstance>& tasks, const std::string& name) {
  std::vector<std::string> exact, close, all;
  for (const auto& task : tasks) {
    all.push_back(task.node);
    auto last = task.node.substr(task.node.rfind('.') + 1);
    if (task.node == name) exact.push_back(task.node);
    if (last == name || task.node.ends_with("." + name)) close.push_back(task.node);
  }
  if (exact.empty()) exact = close;
  if (exact.size() == 1) return exact[0];
  if (exact.empty())
    return Fail(
        Error(ErrorCode::kUnknownNode, fmt::format("the run has no task '{}'", name)).Hint(DidYouMean(name, all)));
  return Fail(
      Error(ErrorCode::kUnknownNode, fmt::format("'{}' may be {}", name, Join(exact, " or "))).Hint("name it in full"));
}

// Prints what a file has from `offset` on, whole lines; moves the offset.
void PrintFrom(const Terminal& terminal, const fs::path& path, std::streamoff& offset, const std::string& prefix) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return;
  in.seekg(offset);
  std::string line;
  while (std::getline(in, line)) {
    if (in.eof() && !line.empty()) break;  // not a whole line yet
    offset += static_cast<std::streamoff>(line.size()) + 1;
    terminal.Out(prefix + line);
  }
}

bool IsOver(const std::string& state) {
  return state != "running" && state != "queued";
}

Result<int> Follow(Invocation& invocation, History& history, const DagRun& run, const std::string& node) {
  std::map<int, std::streamoff> offsets;
  while (true) {
    auto tasks = QUERN_TRY(history.store->Tasks(run.key));
    auto task = std::find_if(tasks.begin(), tasks.end(), [&](const auto& t) { return t.node == node; });
    int tries = task == tasks.end() ? 0 : task->try_number;
    bool over = task != tasks.end() && IsOver(task->state);
    for (int i = 1; i <= tries; ++i) {
      PrintFrom(invocation.terminal, schedule::TaskLogPath(history.project->log_root(), run.dag, run.id, node, i),
                offsets[i], "");
    }
    std::fflush(stdout);
    if (over) return kDone;
    if (!over && IsOver(QUERN_TRY(history.store->FindRun(run.id)).state)) return kDone;
    if (invocation.cancellation.cancelled() || invocation.terminal.nobody_reads()) return kStopped;
    poll(nullptr, 0, 200);
  }
}

Result<int> ShowLogs(Invocation& invocation) {
  auto history = QUERN_TRY(OpenHistory(invocation));
  auto id = invocation.args.Positional("RUN").value_or("latest");
  if (!history.store) return Fail(Error(ErrorCode::kRunNotFound, "nothing was run yet"));
  auto run = QUERN_TRY(history.store->FindRun(id));
  auto tasks = QUERN_TRY(history.store->Tasks(run.key));
  auto wanted = invocation.args.Positional("TASK");
  auto number = QUERN_TRY(invocation.args.Int("try", 1));
  std::string only = wanted ? QUERN_TRY(MatchTask(tasks, *wanted)) : "";
  if (invocation.args.Flag("follow")) {
    if (only.empty())
      return Fail(
          Error(ErrorCode::kUsage, "--follow needs a task").Hint(fmt::format("quern logs {} TASK --follow", id)));
    return Follow(invocation, history, run, only);
  }
  std::stable_sort(tasks.begin(), tasks.end(), [](const auto& a, const auto& b) { return a.started < b.started; });
  Json list = Json::array();
  auto& terminal = invocation.terminal;
  for (const auto& task : tasks) {
    if (!only.empty() && task.node != only) continue;
    if (task.try_number == 0) continue;
    int last = number ? static_cast<int>(*number) : task.try_number;
    // One task's newest try; without a task the newest try of each.
    auto path = schedule::TaskLogPath(history.project->log_root(), run.dag, run.id, task.node, last);
    if (invocation.json()) {
      std::ifstream in(path);
      std::vector<std::string> lines;
      for (std::string line; std::getline(in, line);) lines.push_back(line);
      list.push_back({{"node", task.node}, {"try", last}, {"path", path.string()}, {"lines", lines}});
      continue;
    }
    std::streamoff offset = 0;
    if (only.empty())
      terminal.Out(terminal.Paint(fmt::format("{}  {}", task.node, StateWord(task.state)), Colour::kBold));
    if (!fs::exists(path) && !only.empty())
      return Fail(Error(ErrorCode::kNotFound, fmt::format("there is no log {}", path.string())));
    PrintFrom(terminal, path, offset, only.empty() ? "  " : "");
  }
  if (invocation.json()) invocation.PrintJson({{"dag_run", run.id}, {"logs", list}});
  return kDone;
}

int Answer(Invocation& invocation, const Result<int>& result) {
  return result ? *result : invocation.Failed(result.error());
}

}  // namespace

int RunRuns(Invocation& invocation) {
  auto what = invocation.args.Positional("RUN");
  if (!what || *what == "manual") return Answer(invocation, ShowRuns(invocation));
  auto history = OpenHistory(invocation);
  if (!history) return invocation.Failed(history.error());
  // A schedule's name lists its runs, anything else is a run's id.
  bool schedule = history->project->config().schedules.contains(*what);
  return Answer(invocation, schedule ? ShowRuns(invocation) : ShowRun(invocation, *what));
}

int RunLogs(Invocation& invocation) {
  return Answer(invocation, ShowLogs(invocation));
}

}  // namespace quern::cli
