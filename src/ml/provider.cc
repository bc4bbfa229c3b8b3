#include "ml/provider.h"

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "io/files.h"
#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/tasks.h"

namespace quern::ml {
namespace fs = std::filesystem;
namespace {

using schedule::TaskContext;
using schedule::TaskResult;

using Step = std::function<Result<TaskResult>(NodeWork&)>;

class StepTask : public schedule::Task {
 public:
  StepTask(const ModelConfig& model, const ProviderOptions& options, Step step)
      : model_(model), options_(options), step_(std::move(step)) {}
  TaskResult Run(TaskContext& context) override {
    NodeWork work(model_, options_, context);
    auto done = step_(work);
    if (done) return *std::move(done);
    if (context.cancellation.cancelled())
      return FailedTask(Error(ErrorCode::kCancelled, "stopped on request"), model_, context.node->id);
    return FailedTask(std::move(done).error(), model_, context.node->id);
  }

 private:
  const ModelConfig& model_;
  const ProviderOptions& options_;
  Step step_;
};

}  // namespace

std::vector<ModelConfig> LoadModels(const fs::path& project, Diagnostics& diagnostics) {
  std::vector<ModelConfig> models;
  auto files = io::Glob(project / "ml", "*.{yml,yaml}");
  if (!diagnostics.Check(files)) return models;
  for (const auto& file : *files) {
    auto text = io::ReadFile(file);
    if (!diagnostics.Check(text)) continue;
    const auto shown = fs::relative(file, project).generic_string();
    for (auto& model : ParseModels(*text, shown, diagnostics)) models.push_back(std::move(model));
  }
  CheckModels(models, diagnostics);
  return models;
}

std::vector<schedule::Node> MlProvider::Load(Diagnostics& diagnostics) {
  models_ = LoadModels(options_.project, diagnostics);
  std::vector<schedule::Node> nodes;
  for (const auto& model : models_) {
    for (auto& node : NodesOf(model)) nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<schedule::Node> MlProvider::NodesOf(const ModelConfig& model) const {
  std::vector<schedule::Node> nodes;
  auto add = [&](const std::string& kind, const std::string& id) -> schedule::Node& {
    schedule::Node node;
    node.id = id;
    node.kind = kind;
    node.name = id;
    node.package = options_.package;
    node.fqn = {options_.package, model.name, id};
    node.path = model.file;
    node.pos = model.pos;
    node.tags = model.tags;
    node.description = model.description;
    node.config["model"] = model.name;
    nodes.push_back(std::move(node));
    return nodes.back();
  };
  auto reads_sources = [&](schedule::Node& node) {
    for (const auto& table : model.source_tables()) node.reads.push_back({table, schedule::ReadMode::kCurrent});
  };

  auto& monitor = add("monitor", model.node("monitor"));
  reads_sources(monitor);
  monitor.reads.push_back({model.predict.table, schedule::ReadMode::kBeforeRun});
  monitor.writes = {PerformanceTable(model), PredictionsTable(model), ProfileTable(model), DriftTable(model)};

  auto& retrain = add("retrain", model.node("retrain"));
  retrain.depends_on = {model.node("monitor")};
  retrain.writes = {RetrainingTable(model)};

  auto& dataset = add("dataset", model.node("dataset"));
  reads_sources(dataset);
  dataset.depends_on = {model.node("retrain")};
  dataset.writes = {model.training_table()};
  dataset.keeps = {model.training_table()};

  std::vector<std::string> trained;
  for (const auto& candidate : model.candidates) {
    auto& train = add("train", "train." + model.name + "." + candidate.name);
    train.depends_on = {model.node("dataset")};
    train.config["parameters"] = candidate.parameters;
    trained.push_back(train.id);
  }

  auto& promote = add("promote", model.node("promote"));
  promote.depends_on = trained;
  promote.depends_on.push_back(model.node("dataset"));
  promote.writes = {DecisionsTable(model)};
  if (model.promote.refit) reads_sources(promote);

  auto& predict = add("predict", model.node("predict"));
  reads_sources(predict);
  predict.depends_on = {model.node("promote"), model.node("monitor")};
  predict.writes = {model.predict.table};
  return nodes;
}

void MlProvider::Check(Diagnostics& diagnostics) {
  for (const auto& model : models_) {
    if (model.train.script) {
      const auto& file = model.train.script->requirements;
      std::error_code error;
      if (!file.empty() && !fs::exists(options_.project / file, error)) {
        diagnostics.Add(Error(ErrorCode::kNotFound, fmt::format("the requirements file {} is not there", file.string()))
                            .At(model.train.script->requirements_pos));
      }
    }
    auto warehouse = options_.warehouse();
    if (!warehouse) {
      diagnostics.Add(std::move(warehouse).error());
      return;
    }
    auto session = (*warehouse)->NewSession();
    if (!session) {
      diagnostics.Add(std::move(session).error());
      return;
    }
    std::optional<std::string> missing;
    BindDataset(model, **session, diagnostics, &missing);
  }
}

Result<std::string> MlProvider::Outlook(const schedule::Node& node, const schedule::RunContext& run) {
  for (const auto& model : models_) {
    const bool monitor = node.id == model.node("monitor"), retrain = node.id == model.node("retrain");
    if (!monitor && !retrain) continue;
    TaskContext context;
    context.run = &run;
    context.node = &node;
    NodeWork work(model, options_, context);
    return monitor ? MonitorOutlook(work) : RetrainingOutlook(work);
  }
  return std::string();
}

Result<void> MlProvider::BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) {
  if (!run.rerun) return {};
  std::set<std::string> ids;
  for (const auto* node : selected) ids.insert(node->id);
  for (const auto& model : models_) {
    if (!ids.contains(model.node("promote"))) continue;
    warehouse::Warehouse* house = QUERN_TRY(options_.warehouse());
    const auto table = DecisionsTable(model);
    std::optional<int64_t> champion;
    if (QUERN_TRY(house->Exists({table.schema, table.table}))) {
      // What a killed try of this interval decided already stands.
      auto session = QUERN_TRY(house->NewSession());
      auto last = QUERN_TRY(
          session->Execute(fmt::format("SELECT model_version FROM {} WHERE model_version IS NOT NULL ORDER BY "
                                       "_quern_computed_at DESC, period_start DESC LIMIT 1",
                                       QuoteTable(table))));
      if (!last.rows.empty()) champion = std::get<int64_t>(last.rows[0][0]);
    }
    tracking::Store* store = QUERN_TRY(options_.tracking());
    if (!QUERN_TRY(store->FindModel(model.name))) continue;
    auto now = QUERN_TRY(store->FindVersionByAlias(model.name, std::string(tracking::kChampion)));
    if (champion == (now ? std::optional(now->version) : std::nullopt)) continue;
    // What a client of MLflow made champion no interval did, and none would do it again.
    if (now && !now->tags.contains("quern.dag_run") && !now->tags.contains("quern.promoted_by")) continue;
    std::optional<tracking::ModelVersion> version;
    if (champion) version = QUERN_TRY(store->FindVersion(model.name, *champion));
    if (champion && !version) continue;  // deleted by a client of MLflow
    QUERN_TRY(store->SetAliases(
        model.name, {{std::string(tracking::kChampion), champion}, {std::string(tracking::kPrevious), std::nullopt}}));
    if (version) QUERN_TRY(SaveChampion(model, options_, *version));
  }
  return {};
}

Result<std::unique_ptr<schedule::Task>> MlProvider::MakeTask(const schedule::Node& node, const schedule::RunContext&) {
  for (const auto& model : models_) {
    Step step;
    if (node.id == model.node("monitor")) step = Monitor;
    if (node.id == model.node("retrain")) step = DecideRetraining;
    if (node.id == model.node("dataset")) step = BuildDatasets;
    if (node.id == model.node("promote")) step = Promote;
    if (node.id == model.node("predict")) step = Predict;
    for (const auto& candidate : model.candidates) {
      if (node.id == "train." + model.name + "." + candidate.name)
        step = [&candidate](NodeWork& work) { return TrainCandidate(work, candidate); };
    }
    if (step) return std::make_unique<StepTask>(model, options_, std::move(step));
  }
  return Fail(ErrorCode::kUnknownNode, fmt::format("there is no node '{}' of a model", node.id));
}

}  // namespace quern::ml
