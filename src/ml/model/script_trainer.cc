#include "ml/model/script_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/text.h"
#include "io/child_process.h"
#include "io/files.h"
#include "io/python_environment.h"
#include "ml/model/model_folder.h"
#include "ml/model/python_files.h"

namespace quern::ml {
namespace fs = std::filesystem;
namespace {

using Log = std::function<void(std::string_view)>;

void Say(const Log& log, std::string_view line) {
  if (log) log(line);
}

// Rows of a query as a Parquet file; gives their number.
Result<int64_t> WriteRows(engine::Connection& connection, const std::string& query, const fs::path& file,
                          const Cancellation& cancellation) {
  QUERN_TRY(cancellation.Check());
  auto interrupt = cancellation.OnCancel([&] { connection.Interrupt(); });
  auto done = QUERN_TRY(
      connection.Execute(fmt::format("COPY ({}) TO {} (FORMAT parquet)", query, QuoteLiteral(file.string()))));
  return done.rows_changed;
}

Result<fs::path> EnvironmentOf(const ScriptTrainer& trainer, const fs::path& environments, const Log& log,
                               const Cancellation& cancellation) {
  if (trainer.requirements.empty()) return fs::path();
  return io::MakePythonEnvironment(
      environments, trainer.requirements, trainer.requirements_name, [&](std::string_view line) { Say(log, line); },
      cancellation);
}

// Runs a program to its end. `what` names it in errors: "the trainer".
Result<void> RunToEnd(io::ProcessOptions& process, const std::string& what, const Log& log,
                      const Cancellation& cancellation) {
  std::deque<std::string> tail;
  process.on_stdout = [&](std::string_view line) { Say(log, line); };
  process.on_stderr = [&](std::string_view line) {
    Say(log, line);
    tail.emplace_back(line.substr(0, 500));
    if (tail.size() > 5) tail.pop_front();
  };
  auto ended = QUERN_TRY_CONTEXT(io::RunProcess(process, cancellation), "starting " + what);
  if (ended.end == io::ProcessResult::End::kCancelled) return Fail(ErrorCode::kCancelled, "stopped on request");
  if (ended.ok()) return {};
  if (ended.end == io::ProcessResult::End::kTimedOut)
    return Fail(ErrorCode::kTimeout, fmt::format("{} did not end in time: it {}", what, ended.ToString()));
  std::string how = fmt::format("{} ended with {}", what, ended.ToString());
  if (!tail.empty()) how += "; it last said: " + Join(std::vector<std::string>(tail.begin(), tail.end()), "\n  ");
  return Fail(ErrorCode::kScriptFailed, how);
}

Result<std::map<std::string, double>> ReadMetrics(const fs::path& path) {
  auto bad = [](const std::string& what) {
    return Fail(Error(ErrorCode::kTraining, "the trainer's metrics.json " + what)
                    .Hint(R"(write an object of numbers to $QUERN_METRICS, such as {"auc": 0.71})"));
  };
  auto text = io::ReadFile(path);
  if (!text) return text.error().code() == ErrorCode::kNotFound ? bad("is missing") : Fail(text.error());
  auto json = ParseJson(*text, "metrics.json");
  if (!json) return bad("does not parse: " + json.error().message());
  if (!json->is_object()) return bad("is no object");
  std::map<std::string, double> out;
  for (const auto& [name, value] : json->items()) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      return bad(fmt::format("gives '{}' as {}, which is no finite number", name, value.dump()));
    out[name] = value.get<double>();
  }
  return out;
}

Result<void> SyncTree(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) QUERN_TRY(io::SyncFile(it->path()));
    if (it->is_directory(error)) QUERN_TRY(io::SyncFolder(it->path()));
  }
  if (error) return Fail(io::SystemError("cannot read", folder, error.value()));
  return io::SyncFolder(folder);
}

}  // namespace

Result<ScriptTrained> TrainWithScript(engine::Connection& connection, const ScriptTrainRequest& request) {
  auto folder = QUERN_TRY(io::TempFolder::MakeAmong("train-", request.work));
  fs::path data = folder.path() / "train.parquet", validation = folder.path() / "validation.parquet";
  fs::path metrics = folder.path() / "metrics.json";
  int64_t rows = QUERN_TRY(WriteRows(connection, request.query, data, request.cancellation));
  if (rows == 0) {
    return Fail(Error(ErrorCode::kTrainingData, "there is no row to train on")
                    .Hint("take a longer time frame, or look whether its rows have labels"));
  }
  if (!request.validation_query.empty())
    QUERN_TRY(WriteRows(connection, request.validation_query, validation, request.cancellation));

  std::error_code error;
  if (fs::exists(request.model_folder, error)) QUERN_TRY(io::RemoveAll(request.model_folder));  // of a killed try
  QUERN_TRY(io::MakeFolders(request.model_folder.parent_path()));

  io::ProcessOptions process;
  process.argv = request.trainer.argv;
  process.shell = request.trainer.shell;
  process.working_folder = request.project;
  process.timeout = request.trainer.timeout;
  process.environment = request.environment;
  auto& variables = process.environment;
  variables["QUERN_PROJECT"] = request.project.string();
  variables["QUERN_MODEL"] = request.name;
  variables["QUERN_TRAIN_DATA"] = data.string();
  variables["QUERN_VALIDATION_DATA"] = request.validation_query.empty() ? "" : validation.string();
  variables["QUERN_MODEL_DIR"] = request.model_folder.string();
  variables["QUERN_METRICS"] = metrics.string();
  variables["QUERN_PARAMETERS"] = request.parameters.dump();
  variables["QUERN_TASK"] = request.task ? std::string(TaskName(*request.task)) : "";
  variables["QUERN_KEY"] = Json(request.key).dump();
  variables["QUERN_LABEL"] = request.label;
  variables["QUERN_FEATURES"] = Json(request.features).dump();
  variables["QUERN_CATEGORICAL"] = Json(request.categorical).dump();
  variables["QUERN_SEED"] = std::to_string(request.seed);
  variables["QUERN_THREADS"] = std::to_string(request.threads);
  io::UsePythonEnvironment(
      QUERN_TRY(EnvironmentOf(request.trainer, request.environments, request.log, request.cancellation)), process);
  QUERN_TRY(RunToEnd(process, "the trainer", request.log, request.cancellation));

  ScriptTrained out;
  out.metrics = QUERN_TRY(ReadMetrics(metrics));
  auto kind = ModelKindOf(request.model_folder);
  if (!kind) return Fail(std::move(kind).error().Context("the trainer left no model"));
  QUERN_TRY(SyncTree(request.model_folder));
  return out;
}

Result<ScoredRows> ScoreWithMlflow(engine::Connection& connection, const MlflowScoring& scoring,
                                   const std::string& query, const std::vector<std::string>& columns) {
  QUERN_TRY(ModelKindOf(scoring.model_folder));
  auto folder = QUERN_TRY(io::TempFolder::MakeAmong("score-", scoring.work));
  fs::path input = folder.path() / "rows.parquet", output = folder.path() / "predictions.parquet";
  fs::path plan = folder.path() / "plan.json", program = folder.path() / "score_parquet.py";
  std::vector<std::string> selected;
  for (const auto* names : {&columns, &scoring.features}) {
    for (const auto& name : *names) {
      // Under the name that was asked for, however the query spells it.
      auto quoted = fmt::format("{0} AS {0}", QuoteIdentifier(name));
      if (std::find(selected.begin(), selected.end(), quoted) == selected.end()) selected.push_back(quoted);
    }
  }
  QUERN_TRY(WriteRows(connection, fmt::format("SELECT {} FROM ({})", Join(selected, ", "), query), input,
                      scoring.cancellation));
  Json text = {{"model", scoring.model_folder.string()},
               {"input", input.string()},
               {"output", output.string()},
               {"features", scoring.features},
               {"keep", columns},
               {"task", TaskName(scoring.task)},
               {"classes", scoring.classes},
               {"threshold", scoring.threshold}};
  QUERN_TRY(io::WriteFileAtomically(plan, text.dump()));
  QUERN_TRY(io::WriteFileAtomically(program, ScorerProgram()));

  io::ProcessOptions process;
  process.argv = {"python", program.string(), plan.string()};
  process.working_folder = folder.path();  // MLflow may leave files of its own where it runs
  process.timeout = scoring.trainer.timeout;
  io::UsePythonEnvironment(
      QUERN_TRY(EnvironmentOf(scoring.trainer, scoring.environments, scoring.log, scoring.cancellation)), process);
  QUERN_TRY(RunToEnd(process, "scoring with the trainer's environment", scoring.log, scoring.cancellation));

  std::error_code error;
  if (!fs::exists(output, error)) return Fail(io::SystemError("cannot take the predictions from", output, ENOENT));
  return ScoredRows{std::move(folder), std::move(output)};
}

}  // namespace quern::ml
