#include "script/task.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <deque>

#include "base/json.h"
#include "base/text.h"
#include "io/child_process.h"
#include "io/files.h"
#include "io/python_environment.h"
#include "schedule/task_log.h"
#include "script/outputs.h"
#include "warehouse/before_run.h"

namespace quern::script {
namespace fs = std::filesystem;
namespace {

using schedule::RunContext;
using schedule::TaskContext;
using schedule::TaskResult;
using schedule::TaskStatus;

constexpr size_t kMaxResultBytes = 1 << 20;

Result<Json> ReadValues(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json::object();
  if (fs::file_size(path, error) > kMaxResultBytes) {
    return Fail(Error(ErrorCode::kScriptOutput, "what the script wrote to $QUERN_RESULT is larger than 1 MB")
                    .Hint("write data to $QUERN_OUT, and only small values to $QUERN_RESULT"));
  }
  std::string text = QUERN_TRY(io::ReadFile(path));
  if (Trim(text).empty()) return Json::object();
  auto values = ParseJson(text, "$QUERN_RESULT");
  if (!values)
    return Fail(Error(ErrorCode::kScriptOutput, "what the script wrote to $QUERN_RESULT is " + values.error().message())
                    .At(values.error().pos()));
  if (!values->is_object())
    return Fail(ErrorCode::kScriptOutput, "what the script wrote to $QUERN_RESULT is no JSON object");
  return values;
}

}  // namespace

std::string VariableName(const schedule::TableRef& table) {
  std::string out = table.schema + "_" + table.table;
  for (char& c : out)
    c = std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
                                                    : '_';
  return out;
}

fs::path ScriptTask::ResultPath(const RunContext& run) const {
  return options_.work / "results" / schedule::PathComponent(run.dag_run) /
         (schedule::PathComponent(config_.id()) + ".json");
}

TaskResult ScriptTask::Run(TaskContext& context) {
  auto result = Try(context);
  if (result) return *std::move(result);
  TaskResult failed;
  failed.status = TaskStatus::kFailed;
  failed.message = result.error().message();
  failed.error = std::move(result).error().At(config_.pos).With("node", config_.id());
  return failed;
}

Result<void> ScriptTask::AddInputs(TaskContext& context, warehouse::Warehouse& warehouse, const fs::path& folder,
                                   std::map<std::string, std::string>& environment, Json& details) {
  for (const auto& read : config_.reads) {
    warehouse::TableName name{read.table.schema, read.table.table};
    std::string variable = "QUERN_INPUT_" + VariableName(read.table);
    environment[variable] = environment[variable + "_VERSION"] = "";
    if (!QUERN_TRY(warehouse.Exists(name))) {
      if (read.mode == schedule::ReadMode::kBeforeRun) continue;  // the first run: there was nothing before it
      return Fail(
          Error(ErrorCode::kTableNotFound, fmt::format("the script reads {}, which does not exist", name.ToString()))
              .With("table", name.ToString()));
    }
    auto info = warehouse.Describe(name);
    if (info) {
      std::optional<int64_t> version = info->version;
      if (read.mode == schedule::ReadMode::kBeforeRun)
        version = QUERN_TRY(warehouse::VersionBeforeRun(warehouse, name, context.run->dag_run));
      if (!version) continue;
      environment[variable] = info->location;
      environment[variable + "_VERSION"] = std::to_string(*version);
      details["inputs"][name.ToString()] = *version;
      continue;
    }
    if (info.error().code() != ErrorCode::kTableNotFound) return Fail(info.error());
    // A view has no files: its rows are written out for the script.
    fs::path file = folder / (read.table.Key() + ".parquet");
    auto session = QUERN_TRY(warehouse.NewSession());
    QUERN_TRY_CONTEXT(
        session->Execute(fmt::format("COPY (SELECT * FROM {}.{}) TO {} (FORMAT parquet)", QuoteIdentifier(name.schema),
                                     QuoteIdentifier(name.table), QuoteLiteral(file.string()))),
        "writing out the view " + name.ToString());
    environment[variable] = file.string();
  }
  return {};
}

Result<TaskResult> ScriptTask::Try(TaskContext& context) {
  const RunContext& run = *context.run;
  TaskResult result;
  auto log = [&](std::string_view line) {
    if (context.log) context.log->Line(line);
  };
  warehouse::Warehouse* warehouse = nullptr;
  if (!config_.reads.empty() || !config_.writes.empty()) warehouse = QUERN_TRY(options_.warehouse());

  // What was committed before a kill is not written again, table by table.
  std::string effect = schedule::EffectAppId(run, config_.id());
  int64_t effect_version = schedule::EffectVersion(run);
  std::vector<const ScriptWrite*> open;
  for (const auto& write : config_.writes) {
    const warehouse::TableName name{write.table.schema, write.table.table};
    auto done = QUERN_TRY(warehouse->TxnVersion(name, effect));
    if (!done || *done < effect_version || run.full_refresh) {
      open.push_back(&write);
    } else if (*done > effect_version && write.mode == WriteMode::kAppend && run.schedule != "manual" &&
               !QUERN_TRY(warehouse->HasCommitOf(name, run.dag_run, config_.id()))) {
      return Fail(schedule::OutOfOrder(run, name.ToString(), *done));
    }
  }
  fs::path result_path = ResultPath(run);
  if (open.empty() && !config_.writes.empty()) {
    result.status = TaskStatus::kNoOp;
    result.message = "already recorded";
    result.values = QUERN_TRY(ReadValues(result_path));
    return result;
  }

  auto folder = QUERN_TRY(io::TempFolder::MakeAmong(schedule::PathComponent(config_.name) + "-", options_.work));
  fs::path out = folder.path() / "out", values_path = folder.path() / "result.json";
  QUERN_TRY(io::MakeFolders(out));
  for (const auto& write : config_.writes) QUERN_TRY(io::MakeFolders(out / write.Name()));

  io::ProcessOptions process;
  process.argv = config_.argv;
  process.shell = config_.shell;
  process.working_folder = options_.project;
  process.timeout = config_.timeout;
  process.environment = config_.variables;
  auto& environment = process.environment;
  environment["QUERN_OUT"] = out.string();
  environment["QUERN_RESULT"] = values_path.string();
  environment["QUERN_PROJECT"] = options_.project.string();
  environment["QUERN_NODE"] = config_.id();
  environment["QUERN_TARGET"] = run.target;
  environment["QUERN_DAG_RUN"] = run.dag_run;
  environment["QUERN_LOGICAL_DATE"] = FormatUtc(run.logical_date);
  environment["QUERN_INTERVAL_START"] = FormatUtc(run.interval.start);
  environment["QUERN_INTERVAL_END"] = FormatUtc(run.interval.end);
  environment["QUERN_TIMEZONE"] = run.zone.name();
  environment["QUERN_TRY"] = std::to_string(context.try_number);
  environment["QUERN_VARS"] = run.vars.dump();
  Json handed = Json::object();
  for (const auto& id : config_.depends_on) {
    if (auto values = context.values ? context.values(id) : std::nullopt) handed[id] = *values;
  }
  environment["QUERN_VALUES"] = handed.dump();
  if (warehouse) QUERN_TRY(AddInputs(context, *warehouse, folder.path(), environment, result.details));
  fs::path python;
  if (!config_.requirements.empty()) {
    python = QUERN_TRY(io::MakePythonEnvironment(options_.environments, options_.project / config_.requirements,
                                                 config_.requirements.string(), log, context.cancellation));
  }
  io::UsePythonEnvironment(python, process);

  std::deque<std::string> tail;
  process.on_stdout = log;
  process.on_stderr = [&](std::string_view line) {
    log(line);
    tail.emplace_back(line.substr(0, 500));
    if (tail.size() > 5) tail.pop_front();
  };
  auto ended = QUERN_TRY_CONTEXT(io::RunProcess(process, context.cancellation), "starting the script");
  if (ended.end == io::ProcessResult::End::kCancelled) return Fail(ErrorCode::kCancelled, "stopped on request");
  if (!ended.ok()) {
    std::string how = ended.end == io::ProcessResult::End::kTimedOut
                          ? fmt::format("the script did not end within its timeout of {}", config_.timeout_text)
                      : ended.end == io::ProcessResult::End::kSignaled
                          ? "the script was " + ended.ToString()
                          : fmt::format("the script ended with {}", ended.ToString());
    if (!tail.empty()) how += "; it last said: " + Join(std::vector<std::string>(tail.begin(), tail.end()), "\n  ");
    return Fail(ErrorCode::kScriptFailed, how);
  }

  result.values = QUERN_TRY(ReadValues(values_path));
  auto outputs = QUERN_TRY(FindOutputs(out, config_.writes));
  if (!result.values.empty()) QUERN_TRY(io::WriteFileAtomically(result_path, result.values.dump()));
  int64_t rows = 0;
  if (!open.empty()) {
    auto session = QUERN_TRY(warehouse->NewSession());
    auto interrupt = context.cancellation.OnCancel([&] { session->Interrupt(); });
    for (const auto& output : outputs) QUERN_TRY(CheckOutput(output, out, *session));
    for (const auto& output : outputs) {
      if (std::find(open.begin(), open.end(), output.write) == open.end()) continue;
      warehouse::TableName name{output.write->table.schema, output.write->table.table};
      bool exists = QUERN_TRY(warehouse->Exists(name));
      session->SetContext({.dag_run = run.dag_run,
                           .node = config_.id(),
                           .git_commit = run.git_commit,
                           .logical_date = run.logical_date,
                           .txns = {{name, effect, effect_version}}});
      int64_t written = QUERN_TRY(CommitOutput(output, exists, run.full_refresh, *session));
      result.details["tables"][name.ToString()] = written;
      rows += written;
    }
    result.rows = rows;
  }
  result.message = config_.writes.empty() ? "done"
                                          : fmt::format("{} {} in {} {}", FormatCount(rows), rows == 1 ? "row" : "rows",
                                                        open.size(), open.size() == 1 ? "table" : "tables");
  return result;
}

}  // namespace quern::script
