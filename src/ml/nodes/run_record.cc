#include "ml/nodes/run_record.h"

#include <fmt/format.h>

#include "base/text.h"
#include "io/files.h"
#include "tracking/artifacts.h"

namespace quern::ml {

std::string DerivedRunId(const std::vector<std::string>& parts) {
  return Sha256Hex(Json(parts).dump()).substr(0, 32);
}

std::string TrainingConfigText(const ModelConfig& model, const std::filesystem::path& project) {
  Json weights = model.train.class_weight.weights;
  Json out = {{"task", model.train.task ? Json(ToString(*model.train.task)) : Json()},
              {"script", model.train.script ? Json(model.train.script->argv) : Json()},
              {"parameters", model.train.parameters},
              {"fixed", model.train.fixed},
              {"validation", model.train.validation},
              {"rounds", model.train.rounds},
              {"early_stopping", model.train.early_stopping},
              {"class_weight", {static_cast<int>(model.train.class_weight.kind), weights}},
              {"seed", model.train.seed},
              {"threads", model.train.threads},
              {"threshold", model.predict.threshold}};
  Json categorical = Json::array();
  for (const auto& name : model.dataset.categorical) categorical.push_back(name.name);
  out["categorical"] = categorical;
  if (model.train.script) {
    Json code = Json::object();
    auto names = model.train.script->argv;
    names.push_back(model.train.script->requirements.generic_string());
    for (const auto& name : names) {
      std::error_code error;
      if (name.empty() || !std::filesystem::is_regular_file(project / name, error)) continue;
      if (auto text = io::ReadFile(project / name)) code[name] = Sha256Hex(*text);
    }
    out["code"] = code;
  }
  return out.dump();
}

ModelConfig WithTrainingConfig(ModelConfig model, const Json& configuration) {
  auto& train = model.train;
  if (train.script && configuration.contains("script") && configuration["script"].is_array()) {
    train.script->argv = configuration["script"].get<std::vector<std::string>>();
  }
  train.rounds = configuration.value("rounds", train.rounds);
  train.early_stopping = configuration.value("early_stopping", train.early_stopping);
  train.seed = configuration.value("seed", train.seed);
  train.threads = configuration.value("threads", train.threads);
  model.predict.threshold = configuration.value("threshold", model.predict.threshold);
  if (const Json weight = configuration.value("class_weight", Json()); weight.is_array() && weight.size() == 2) {
    train.class_weight.kind = static_cast<ClassWeightConfig::Kind>(weight[0].get<int>());
    train.class_weight.weights = weight[1].get<std::map<std::string, double>>();
  }
  return model;
}

Interval EvaluationInterval(const ModelConfig& model, const schedule::RunContext& run) {
  if (!model.dataset.label_delay) return run.interval;
  return {Subtract(run.interval.start, *model.dataset.label_delay, run.zone),
          Subtract(run.interval.end, *model.dataset.label_delay, run.zone)};
}

Result<TrainingSet> SaveSet(NodeWork& work, warehouse::Warehouse& warehouse, const BoundDataset& bound,
                            SaveOptions options) {
  const auto& run = work.run();
  options.query = {.rows = Rows::kLabeled, .interval = run.interval, .zone = run.zone};
  options.effect_app = schedule::EffectAppId(run, work.task().node->id);
  options.effect_version = schedule::EffectVersion(run);
  options.commit = work.CommitContext();
  auto session = QUERN_TRY(work.Session({}));
  return SaveTrainingSet(work.model(), bound, options, warehouse, *session);
}

Result<std::optional<TrainingSet>> SetOfFrame(const Json& dataset_values, size_t frame) {
  if (!dataset_values.contains("sets") || frame >= dataset_values["sets"].size()) return std::nullopt;
  const auto& one = dataset_values["sets"][frame];
  if (!one.contains("set")) return std::nullopt;
  return std::optional<TrainingSet>(QUERN_TRY(TrainingSet::FromJson(one["set"])));
}

Result<TrainingSet> EvaluationSet(const Json& dataset_values) {
  return TrainingSet::FromJson(dataset_values.value("evaluation", Json::object()));
}

tracking::DatasetInput DatasetInputOf(const TrainingSet& set, const std::string& context) {
  tracking::DatasetInput out;
  out.name = set.training_set;
  out.digest = set.digest.substr(0, 16);
  out.source_type = "delta";
  out.source = Json({{"path", set.location},
                     {"table", set.table},
                     {"version", set.version},
                     {"training_set", set.training_set},
                     {"digest", set.digest},
                     {"rows", set.rows}})
                   .dump();
  Json columns = Json::array();
  auto add = [&](const BoundColumn& column) { columns.push_back({{"name", column.name}, {"type", column.type}}); };
  for (const auto& key : set.key) add(key);
  for (const auto& feature : set.features) add(feature);
  add(set.label);
  out.schema = Json({{"columns", columns}}).dump();
  out.profile = Json({{"num_rows", set.rows}}).dump();
  out.context = context;
  return out;
}

tracking::Values RunTags(NodeWork& work) {
  const auto& run = work.run();
  tracking::Values tags = {{"quern.schedule", run.schedule},
                           {"quern.dag_run", run.dag_run},
                           {"quern.logical_date", FormatUtc(run.logical_date)},
                           {"quern.node", work.task().node->id},
                           {"quern.model", work.model().name}};
  if (!run.git_commit.empty()) tags["mlflow.source.git.commit"] = run.git_commit;
  return tags;
}

Result<void> RecordParent(NodeWork& work, const Json& values, const Json& decision) {
  tracking::Store* store = QUERN_TRY(work.tracking());
  const auto& model = work.model();
  auto experiment = QUERN_TRY(store->GetOrCreateExperiment(model.name));
  tracking::NewRun run;
  run.run_id = values.at("parent_run").get<std::string>();
  auto before = QUERN_TRY(store->FindRun(run.run_id));
  if (decision.is_null() && before && before->status == "FINISHED") return {};  // an equal training is there
  run.experiment_id = experiment.id;
  run.name = work.run().dag_run;
  run.start = before && before->start ? *before->start : work.run().clock->Now();
  run.tags = RunTags(work);
  run.tags["quern.kind"] = "training";
  run.tags["quern.reason"] = values.value("reason", "");
  run.params = {{"candidates", std::to_string(model.candidates.size())},
                {"metric", values.value("metric", model.promote.metric)},
                {"config", TrainingConfigText(model, work.options().project).substr(0, 5000)}};
  for (const auto& one : values["sets"]) {
    if (one.contains("set"))
      run.datasets.push_back(DatasetInputOf(QUERN_TRY(TrainingSet::FromJson(one["set"])), "training"));
  }
  run.datasets.push_back(DatasetInputOf(QUERN_TRY(EvaluationSet(values)), "evaluation"));
  if (decision.is_null()) {
    run.status = tracking::RunStatus::kRunning;
    run.end = run.start;
  } else {
    run.end = work.run().clock->Now();
    run.tags["quern.decision"] = decision.value("decision", "");
    run.tags["quern.decision.reason"] = decision.value("reason", "");
    const auto folder = store->RunFolder(experiment.id, run.run_id);
    auto prepared = QUERN_TRY(tracking::PrepareArtifacts(folder));
    QUERN_TRY(io::WriteFileAtomically(prepared.path() / "decision.json", decision.dump(2) + "\n"));
    QUERN_TRY(tracking::PublishArtifacts(std::move(prepared), folder));
    if (decision.contains("candidate_value") && decision["candidate_value"].is_number())
      run.metrics.push_back({"best_" + decision.value("metric", ""), decision["candidate_value"].get<double>(), 0, 0});
    if (decision.contains("champion_value") && decision["champion_value"].is_number()) {
      run.metrics.push_back(
          {"champion_" + decision.value("metric", ""), decision["champion_value"].get<double>(), 0, 0});
    }
  }
  return store->RecordRun(run);
}

Result<Json> RecordedDecision(NodeWork& work, const std::string& parent_run) {
  tracking::Store* store = QUERN_TRY(work.tracking());
  auto run = QUERN_TRY(store->FindRun(parent_run));
  if (!run || run->status != "FINISHED") return Json();
  auto folder = store->RunFolder(run->experiment_id, run->run_id);
  return ParseJson(QUERN_TRY(io::ReadFile(folder / "decision.json")), "decision.json");
}

}  // namespace quern::ml
