#include "ml/nodes/candidate.h"

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "io/files.h"
#include "ml/metrics/slices.h"
#include "ml/model/script_trainer.h"
#include "ml/nodes/plots.h"
#include "ml/nodes/run_record.h"
#include "tracking/artifacts.h"

namespace quern::ml {
namespace fs = std::filesystem;
namespace {

// Where the validation part of a set begins: a value of the time column as text; "" when there is none.
Result<std::string> SplitAt(engine::Connection& connection, const TrainingSet& set, double share) {
  if (share <= 0) return std::string();
  const auto time = QuoteIdentifier(set.time.name);
  auto found = QUERN_TRY(connection.Execute(
      fmt::format("SELECT CAST(quantile_disc({0}, {1}) AS VARCHAR), quantile_disc({0}, {1}) > min({0}) FROM ({2})",
                  time, 1 - share, set.ReadSql())));
  const auto* later = std::get_if<bool>(&found.rows[0][1]);
  return later && *later ? engine::ToText(found.rows[0][0]) : std::string();
}

std::string SplitSql(const TrainingSet& set, const std::string& boundary, bool validation) {
  if (boundary.empty()) return set.ReadSql();
  return fmt::format("SELECT * FROM ({}) WHERE {} {} CAST({} AS {}) ORDER BY {}", set.ReadSql(),
                     QuoteIdentifier(set.time.name), validation ? ">=" : "<", QuoteLiteral(boundary), set.time.type,
                     [&] {
                       std::vector<std::string> keys;
                       for (const auto& key : set.key) keys.push_back(key.name);
                       keys.push_back(set.time.name);
                       return QuoteColumns(keys);
                     }());
}

Result<void> FitXgboost(NodeWork& work, engine::Connection& connection, const Training& training,
                        const std::string& boundary, const fs::path& folder, const std::string& run_id, Fit& out) {
  const auto& config = work.model().train;
  TrainRequest request;
  request.query = SplitSql(training.set, boundary, false);
  if (!boundary.empty()) request.validation_query = SplitSql(training.set, boundary, true);
  for (const auto& key : training.set.key) request.key.push_back(key.name);
  request.label = training.set.label.name;
  for (const auto& feature : training.set.features) {
    request.features.push_back(feature.name);
    if (feature.kind == FeatureKind::kCategory && feature.type != "VARCHAR")
      request.categorical.push_back(feature.name);
  }
  request.task = TaskOf(training.set.task);
  request.threshold = work.model().predict.threshold;
  request.parameters = training.parameters;
  request.rounds = static_cast<int>(training.rounds.value_or(config.rounds));
  request.early_stopping = training.rounds || boundary.empty() ? 0 : static_cast<int>(config.early_stopping);
  switch (config.class_weight.kind) {
    case ClassWeightConfig::Kind::kNone:
      break;
    case ClassWeightConfig::Kind::kBalanced:
      request.class_weight.mode = ClassWeight::Mode::kBalanced;
      break;
    case ClassWeightConfig::Kind::kGiven:
      request.class_weight = {ClassWeight::Mode::kGiven, config.class_weight.weights};
      break;
  }
  request.seed = config.seed;
  request.threads = static_cast<int>(config.threads);
  request.cancellation = work.task().cancellation;
  auto model = QUERN_TRY(TrainXgboost(connection, request));
  ModelFolderOptions options;
  options.run_id = run_id;
  options.created = FormatTime(TimeZone::Utc().ToLocal(training.at), "%Y-%m-%d %H:%M:%S") + ".000000";
  options.metadata = {{"quern.training_set", training.set.training_set},
                      {"quern.training_table_version", training.set.version},
                      {"quern.training_digest", training.set.digest}};
  out.files = QUERN_TRY(WriteModelFolder(model, folder, options));
  out.metrics = model.metrics;
  out.history = model.history;
  out.importance = model.importance;
  for (const auto& warning : model.warnings) work.Log("warning: " + warning.message());
  out.classes = model.spec.classes;
  out.parameters = model.parameters;
  out.library = "xgboost " + model.xgboost_version;
  out.trained.rounds = model.rounds;
  return {};
}

Result<void> FitScript(NodeWork& work, engine::Connection& connection, const Training& training,
                       const std::string& boundary, const fs::path& folder, Fit& out) {
  const auto& model = work.model();
  const auto& script = *model.train.script;
  ScriptTrainRequest request;
  request.trainer.argv = script.argv;
  if (!script.requirements.empty()) {
    request.trainer.requirements = work.options().project / script.requirements;
    request.trainer.requirements_name = script.requirements.generic_string();
  }
  request.trainer.timeout = script.timeout;
  request.project = work.options().project;
  request.environments = work.options().environments;
  request.work = work.options().work;
  request.model_folder = folder;
  request.name = model.name;
  request.query = SplitSql(training.set, boundary, false);
  if (!boundary.empty()) request.validation_query = SplitSql(training.set, boundary, true);
  for (const auto& key : training.set.key) request.key.push_back(key.name);
  request.label = training.set.label.name;
  for (const auto& feature : training.set.features) {
    request.features.push_back(feature.name);
    if (feature.kind == FeatureKind::kCategory) request.categorical.push_back(feature.name);
  }
  request.task = TaskOf(training.set.task);
  request.parameters = training.parameters;
  request.seed = model.train.seed;
  request.threads = static_cast<int>(model.train.threads);
  request.environment = {{"QUERN_INTERVAL_START", FormatUtc(work.run().interval.start)},
                         {"QUERN_INTERVAL_END", FormatUtc(work.run().interval.end)},
                         {"QUERN_DAG_RUN", work.run().dag_run}};
  request.log = [&work](std::string_view line) { work.Log(line); };
  request.cancellation = work.task().cancellation;
  auto trained = QUERN_TRY(TrainWithScript(connection, request));
  out.metrics = trained.metrics;
  out.parameters = training.parameters;
  out.library = "script";
  return {};
}

Json SlicesJson(const std::vector<Performance>& figures) {
  Json out = Json::array();
  for (const auto& one : figures) {
    if (one.column.empty()) continue;
    out.push_back({{"column", one.column},
                   {"value", one.value ? Json(*one.value) : Json()},
                   {"rows", one.rows},
                   {"labeled", one.labeled},
                   {"metrics", ToJson(one.metrics)}});
  }
  return out;
}

std::vector<Performance> SlicesFromJson(const Json& json) {
  std::vector<Performance> out;
  for (const auto& one : json) {
    Performance slice;
    slice.column = one.value("column", "");
    if (one["value"].is_string()) slice.value = one["value"].get<std::string>();
    slice.rows = one.value("rows", int64_t{0});
    slice.labeled = one.value("labeled", int64_t{0});
    slice.metrics = MetricsFromJson(one["metrics"]);
    out.push_back(std::move(slice));
  }
  return out;
}

std::string ParameterText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

Json ToJson(const MetricValues& values) {
  Json out = Json::object();
  for (const auto& [name, value] : values) out[name] = value ? Json(*value) : Json();
  return out;
}

MetricValues MetricsFromJson(const Json& json) {
  MetricValues out;
  if (!json.is_object()) return out;
  for (const auto& [name, value] : json.items())
    out[name] = value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  return out;
}

Json Trained::ToJson() const {
  return {{"candidate", name},
          {"run_id", run_id},
          {"frame", frame},
          {"parameters", parameters},
          {"task", TaskName(task)},
          {"metrics", ml::ToJson(metrics)},
          {"dummy", ml::ToJson(dummy)},
          {"validation", ml::ToJson(validation)},
          {"slices", SlicesJson(slices)},
          {"rows", rows},
          {"rounds", rounds}};
}

Trained Trained::FromJson(const Json& json) {
  Trained out;
  out.name = json.value("candidate", "");
  out.run_id = json.value("run_id", "");
  out.frame = json.value("frame", "");
  out.parameters = json.value("parameters", Json::object());
  out.task = TaskNamed(json.value("task", "classification")).value_or(Task::kBinary);
  out.metrics = MetricsFromJson(json.value("metrics", Json::object()));
  out.dummy = MetricsFromJson(json.value("dummy", Json::object()));
  out.validation = MetricsFromJson(json.value("validation", Json::object()));
  out.slices = SlicesFromJson(json.value("slices", Json::array()));
  out.rows = json.value("rows", int64_t{0});
  out.rounds = json.value("rounds", int64_t{0});
  return out;
}

std::string Trained::MetricName(const ModelConfig& model) const {
  if (!model.promote.metric.empty()) return model.promote.metric;
  switch (task) {
    case Task::kMulticlass:
      return DefaultMetric(TaskType::kMulticlass);
    case Task::kRegression:
      return DefaultMetric(TaskType::kRegression);
    case Task::kBinary:
      break;
  }
  return DefaultMetric(TaskType::kClassification);
}

std::string TrainingRunId(const NodeWork& work, const Training& training) {
  return DerivedRunId({"candidate", training.parent_run, training.name, training.parameters.dump(), training.frame,
                       training.set.digest, training.evaluation ? training.evaluation->digest : "",
                       std::to_string(training.rounds.value_or(-1)),
                       TrainingConfigText(work.model(), work.options().project)});
}

Result<DummyModel> DummyOf(engine::Connection& connection, const TrainingSet& set, Task task,
                           const std::vector<std::string>& classes) {
  DummyModel dummy;
  const auto label = QuoteIdentifier(set.label.name);
  if (task == Task::kRegression) {
    auto mean =
        QUERN_TRY(connection.Execute(fmt::format("SELECT avg(CAST({} AS DOUBLE)) FROM ({})", label, set.ReadSql())));
    if (const auto* number = std::get_if<double>(&mean.rows[0][0])) dummy.mean = *number;
    return dummy;
  }
  auto counts = QUERN_TRY(connection.Execute(
      fmt::format("SELECT CAST({0} AS VARCHAR), count(*) FROM ({1}) GROUP BY 1 ORDER BY 1", label, set.ReadSql())));
  double all = 0;
  for (const auto& row : counts.rows) all += static_cast<double>(std::get<int64_t>(row[1]));
  const std::string positive = classes.size() == 2 ? classes[1] : "true";
  for (const auto& row : counts.rows) {
    const double share = static_cast<double>(std::get<int64_t>(row[1])) / all;
    dummy.class_shares[engine::ToText(row[0])] = share;
    if (engine::ToText(row[0]) == positive) dummy.positive_share = share;
  }
  return dummy;
}

Result<std::vector<Performance>> Judge(engine::Connection& connection, Scorer& scorer, const TrainingSet& set,
                                       const std::vector<std::string>& slices, const std::optional<DummyModel>& dummy) {
  // Under names of our own, so that a column may be called as what a model gives is: score, prediction.
  const auto as = SliceColumns(slices.size());
  std::string rows = fmt::format("SELECT *, {} AS __label", QuoteIdentifier(set.label.name));
  for (size_t i = 0; i < slices.size(); ++i) {
    rows += fmt::format(", {} AS {}", QuoteIdentifier(slices[i]), as[i]);
  }
  std::vector<std::string> columns = {"__label"};
  columns.insert(columns.end(), as.begin(), as.end());
  rows += fmt::format(" FROM ({})", set.ReadSql());
  const auto predictions = QUERN_TRY(scorer.Predictions(rows, columns));
  PerformanceSpec spec;
  spec.task = TaskOf(set.task);
  spec.label = "__label";
  if (spec.task != Task::kBinary) spec.score = "";
  if (spec.task == Task::kMulticlass) spec.probabilities = "probabilities";
  if (spec.task == Task::kBinary && scorer.classes().size() == 2) spec.positive = scorer.classes()[1];
  spec.classes = scorer.classes();
  spec.slices = as;
  spec.dummy = dummy;
  auto figures = QUERN_TRY(Evaluate(connection, predictions, spec));
  return WithSliceNames(std::move(figures), slices);
}

Result<Fit> FitModel(NodeWork& work, const Training& training, const fs::path& folder, const std::string& run_id) {
  const auto& model = work.model();
  Fit out;
  out.trained.name = training.name;
  out.trained.run_id = run_id;
  out.trained.frame = training.frame;
  out.trained.parameters = training.parameters;
  out.trained.task = TaskOf(training.set.task);
  out.trained.rows = training.set.rows;
  auto session = QUERN_TRY(work.Session({}));
  out.validation_from = QUERN_TRY(SplitAt(*session, training.set, training.validation));
  if (model.train.script) {
    QUERN_TRY(FitScript(work, *session, training, out.validation_from, folder, out));
    out.classes = QUERN_TRY(ClassesOf(*session, training.set.ReadSql(), training.set.label, out.trained.task));
  } else {
    QUERN_TRY(FitXgboost(work, *session, training, out.validation_from, folder, run_id, out));
  }
  for (const auto& [name, value] : out.metrics) out.trained.validation[name] = value;
  out.dummy = QUERN_TRY(DummyOf(*session, training.set, out.trained.task, out.classes));
  if (!training.evaluation) return out;
  ScoredAs as{.task = out.trained.task, .classes = out.classes};
  for (const auto& feature : training.set.features) as.features.push_back(feature.name);
  auto scorer = QUERN_TRY(Scorer::Open(*session, folder, run_id, work.options(), model, as, &work.task()));
  std::vector<std::string> slices;
  for (const auto& slice : model.promote.slices) slices.push_back(slice.name);
  out.figures = QUERN_TRY(Judge(*session, scorer, *training.evaluation, slices, out.dummy));
  out.trained.metrics = out.figures.front().metrics;
  out.trained.dummy = out.figures.front().dummy;
  out.trained.slices.assign(out.figures.begin() + 1, out.figures.end());
  for (const auto& [feature, count] : scorer.Unseen())
    work.Log(
        fmt::format("{}: {} values were never seen in training and count as missing", feature, FormatCount(count)));
  return out;
}

Result<Trained> Train(NodeWork& work, const Training& training) {
  const auto& model = work.model();
  tracking::Store* store = QUERN_TRY(work.tracking());
  const auto experiment = QUERN_TRY(store->GetOrCreateExperiment(model.name));
  const std::string run_id = TrainingRunId(work, training);
  const fs::path folder = store->RunFolder(experiment.id, run_id);
  if (auto run = QUERN_TRY(store->FindRun(run_id)); run && run->status == "FINISHED") {
    auto record = QUERN_TRY(ParseJson(QUERN_TRY(io::ReadFile(folder / "training.json")), "training.json"));
    auto found = Trained::FromJson(record.value("trained", Json::object()));
    found.found = true;
    return found;
  }

  const Timestamp started = work.run().clock->Now();
  auto prepared = QUERN_TRY(tracking::PrepareArtifacts(folder));
  const Fit fit = QUERN_TRY(FitModel(work, training, prepared.path() / "model", run_id));
  const Trained& out = fit.trained;

  Json files = Json::array();
  for (const auto& file : fit.files)
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  Json features = Json::array();
  for (const auto& feature : training.set.features)
    features.push_back({{"name", feature.name}, {"type", feature.type}});
  const Json configuration = QUERN_TRY(ParseJson(TrainingConfigText(model, work.options().project), "configuration"));
  const Json record = {{"model", model.name},
                       {"trained", out.ToJson()},
                       {"run_id", run_id},
                       {"parent_run", training.parent_run},
                       {"frame", training.frame},
                       {"parameters", training.parameters},
                       {"all_parameters", fit.parameters},
                       {"training_set", training.set.ToJson()},
                       {"evaluation_set", training.evaluation ? training.evaluation->ToJson() : Json()},
                       {"dummy", ToJson(fit.dummy)},
                       {"classes", fit.classes},
                       {"baseline", training.evaluation ? ToJson(out.metrics) : training.baseline},
                       {"validation_share", training.validation},
                       {"given_rounds", training.rounds ? Json(*training.rounds) : Json()},
                       {"split", {{"column", training.set.time.name}, {"validation_from", fit.validation_from}}},
                       {"configuration", configuration},
                       {"files", files},
                       {"library", fit.library},
                       {"dag_run", work.run().dag_run},
                       {"interval_start", FormatUtc(work.run().interval.start)},
                       {"interval_end", FormatUtc(work.run().interval.end)},
                       {"timezone", work.run().zone.name()},
                       {"git_commit", work.run().git_commit}};
  auto write = [&](const char* name, const std::string& text) {
    return io::WriteFileAtomically(prepared.path() / name, text);
  };
  QUERN_TRY(write("training.json", record.dump(2) + "\n"));
  QUERN_TRY(write("query.sql", training.set.query + "\n"));
  QUERN_TRY(write("split.json", record["split"].dump(2) + "\n"));
  QUERN_TRY(write("features.json", features.dump(2) + "\n"));
  if (!fit.history.empty()) QUERN_TRY(write("learning_curve.svg", LearningCurveSvg(fit.history)));
  if (!fit.importance.empty()) QUERN_TRY(write("importance.svg", ImportanceSvg(fit.importance)));
  if (!fit.figures.empty() && !fit.figures.front().calibration.empty())
    QUERN_TRY(write("calibration.svg", CalibrationSvg(fit.figures.front().calibration)));
  QUERN_TRY(tracking::PublishArtifacts(std::move(prepared), folder));

  tracking::NewRun run;
  run.run_id = run_id;
  run.experiment_id = experiment.id;
  run.name = training.name;
  run.start = started;
  run.end = work.run().clock->Now();
  run.parent_run_id = training.parent_run;
  run.tags = RunTags(work);
  run.tags["quern.kind"] = "candidate";
  run.tags["quern.candidate"] = training.name;
  run.tags["quern.metric"] = out.MetricName(model);
  run.params = {{"frame", training.frame},
                {"rows", std::to_string(training.set.rows)},
                {"validation", fmt::format("{}", training.validation)},
                {"library", fit.library}};
  for (const auto& [name, value] : fit.parameters.items()) run.params[name] = ParameterText(value);
  std::set<std::string> with_history;
  for (const auto& point : fit.history) {
    run.metrics.push_back({point.metric, point.value, point.round, 0});
    with_history.insert(point.metric);
  }
  auto add = [&](const std::string& prefix, const MetricValues& values) {
    for (const auto& [name, value] : values) {
      if (value && !with_history.contains(prefix + name)) run.metrics.push_back({prefix + name, *value, 0, 0});
    }
  };
  add("", out.metrics);
  add("dummy_", out.dummy);
  add("", out.validation);
  run.datasets.push_back(DatasetInputOf(training.set, "training"));
  if (training.evaluation) run.datasets.push_back(DatasetInputOf(*training.evaluation, "evaluation"));
  run.model = tracking::RunModel{.name = model.name, .artifact_path = "model", .model_type = "", .tags = {}};
  QUERN_TRY(store->RecordRun(run));
  return out;
}

}  // namespace quern::ml
