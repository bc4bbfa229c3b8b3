#include "ml/nodes/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/ids.h"
#include "base/text.h"
#include "io/files.h"
#include "ml/dataset/training_set.h"
#include "ml/model/model_folder.h"
#include "ml/model/script_trainer.h"
#include "tracking/artifacts.h"

namespace quern::ml {
namespace fs = std::filesystem;

using schedule::TaskResult;
using schedule::TaskStatus;

Task TaskOf(TaskType type) {
  switch (type) {
    case TaskType::kMulticlass:
      return Task::kMulticlass;
    case TaskType::kRegression:
      return Task::kRegression;
    case TaskType::kClassification:
      break;
  }
  return Task::kBinary;
}

std::string QuoteTable(const schedule::TableRef& table) {
  return QuoteIdentifier(table.schema) + "." + QuoteIdentifier(table.table);
}

std::string QuoteColumns(const std::vector<std::string>& columns) {
  std::vector<std::string> quoted;
  for (const auto& column : columns) quoted.push_back(QuoteIdentifier(column));
  return Join(quoted, ", ");
}

std::string InstantSql(Timestamp t) {
  return "TIMESTAMPTZ " + QuoteLiteral(FormatUtc(t));
}

std::string Sql(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{:.16e}::DOUBLE", *value) : "NULL::DOUBLE";
}
std::string Sql(int64_t value) {
  return fmt::format("{}::BIGINT", value);
}
std::string Sql(bool value) {
  return value ? "true" : "false";
}
std::string Sql(const std::string& value) {
  return QuoteLiteral(value);
}
std::string Sql(const char* value) {
  return QuoteLiteral(value);
}
std::string SqlOf(const Json& value) {
  return value.is_null() ? "NULL::VARCHAR" : QuoteLiteral(value.dump());
}

std::string PeriodName(const Interval& interval, const TimeZone& zone) {
  return fmt::format("{} to {}", FormatShort(zone.ToLocal(interval.start)), FormatShort(zone.ToLocal(interval.end)));
}

Json ToJson(const DummyModel& dummy) {
  return {{"positive_share", dummy.positive_share}, {"class_shares", dummy.class_shares}, {"mean", dummy.mean}};
}

DummyModel DummyFromJson(const Json& json) {
  DummyModel out;
  if (!json.is_object()) return out;
  out.positive_share = json.value("positive_share", 0.0);
  out.mean = json.value("mean", 0.0);
  if (json.contains("class_shares") && json["class_shares"].is_object())
    out.class_shares = json["class_shares"].get<std::map<std::string, double>>();
  return out;
}

Result<fs::path> FolderOf(const tracking::ModelVersion& version) {
  const auto& uri = version.storage_location.empty() ? version.source : version.storage_location;
  auto folder = tracking::PathOfUri(uri);
  if (folder) return *folder;
  return Fail(Error(ErrorCode::kModelFile, fmt::format("version {} of {} lies at {}, which is no local folder",
                                                       version.version, version.model, uri))
                  .With("model", version.model));
}

Result<void> SaveChampion(const ModelConfig& model, const ProviderOptions& options,
                          const tracking::ModelVersion& champion) {
  const auto& to = model.promote.save_to;
  if (to.empty()) return {};
  const fs::path destination = to.is_absolute() ? to : options.project / to;
  QUERN_TRY_CONTEXT(tracking::CopyFolderAtomically(QUERN_TRY(FolderOf(champion)), destination),
                    "saving the champion to " + destination.string());
  return {};
}

// ---- one node's work

warehouse::CommitContext NodeWork::CommitContext() const {
  warehouse::CommitContext commit;
  commit.dag_run = run().dag_run;
  commit.node = context_.node->id;
  commit.git_commit = run().git_commit;
  commit.logical_date = run().logical_date;
  return commit;
}

Result<std::unique_ptr<warehouse::Session>> NodeWork::Session(const std::vector<schedule::TableRef>& tables) {
  warehouse::Warehouse* house = QUERN_TRY(warehouse());
  auto session = QUERN_TRY(house->NewSession());
  auto commit = CommitContext();
  for (const auto& table : tables) {
    commit.txns.push_back(
        {{table.schema, table.table}, schedule::EffectAppId(run(), context_.node->id), schedule::EffectVersion(run())});
  }
  session->SetContext(std::move(commit));
  return session;
}

Result<bool> NodeWork::IsDone(const schedule::TableRef& table) {
  if (run().full_refresh) return false;
  warehouse::Warehouse* house = QUERN_TRY(warehouse());
  const warehouse::TableName name{table.schema, table.table};
  auto done = QUERN_TRY(house->TxnVersion(name, schedule::EffectAppId(run(), context_.node->id)));
  const int64_t now = schedule::EffectVersion(run());
  if (done && *done > now && !QUERN_TRY(house->HasCommitOf(name, run().dag_run, context_.node->id)))
    return Fail(schedule::OutOfOrder(run(), name.ToString(), *done));
  return done && *done >= now;
}

Result<std::optional<BoundDataset>> NodeWork::Bind(engine::Connection& connection, std::string* why) {
  Diagnostics diagnostics;
  std::optional<std::string> missing;
  auto bound = BindDataset(model_, connection, diagnostics, &missing);
  if (!diagnostics.ok()) return Fail(diagnostics.errors().front());
  if (missing) {
    *why = fmt::format("{} is not there yet", *missing);
    return std::nullopt;
  }
  if (!bound) return Fail(Error(ErrorCode::kModelConfig, "the dataset cannot be bound").At(model_.dataset.pos));
  return bound;
}

Json NodeWork::ValuesOf(std::string_view kind) const {
  if (!context_.values) return Json::object();
  auto values = context_.values(model_.node(kind));
  return values && values->is_object() ? *values : Json::object();
}

Result<ModelInUse> NodeWork::Open(const tracking::ModelVersion& version) {
  ModelInUse out;
  out.version = version;
  out.folder = QUERN_TRY(FolderOf(version));
  // The run's own record lies beside the model's folder.
  const fs::path record = out.folder.parent_path() / "training.json";
  std::error_code error;
  if (fs::exists(record, error)) {
    out.training = QUERN_TRY(ParseJson(QUERN_TRY(io::ReadFile(record)), record.string()));
    if (out.training.contains("interval_end") && out.training["interval_end"].is_string()) {
      auto until = ParseTimestamp(out.training["interval_end"].get<std::string>(), TimeZone::Utc());
      if (until) out.trained_until = *until;
    }
  }
  if (!out.trained_until) out.trained_until = version.created;
  return out;
}

Result<ScoredAs> NodeWork::Like(engine::Connection& connection, const ModelInUse& version, const BoundDataset& bound) {
  ScoredAs out{.task = TaskOf(bound.task)};
  if (version.training.is_object() && version.training.contains("training_set")) {
    const auto set = QUERN_TRY(TrainingSet::FromJson(version.training["training_set"]));
    for (const auto& feature : set.features) out.features.push_back(feature.name);
    out.classes = version.training.value("classes", std::vector<std::string>());
  } else {
    out.foreign = true;
    for (const auto& feature : bound.features) out.features.push_back(feature.name);
  }
  if (out.classes.empty() && QUERN_TRY(ModelKindOf(version.folder)) == ModelKind::kMlflow) {
    const QueryOptions query{.rows = Rows::kLabeled, .interval = run().interval, .zone = run().zone, .ordered = false};
    const TimeFrame frame{"labels", std::nullopt, run().interval.end};
    out.classes = QUERN_TRY(ClassesOf(connection, DatasetQuery(model_, bound, frame, query), bound.label, out.task));
  }
  return out;
}

Result<std::optional<ModelInUse>> NodeWork::Champion() {
  tracking::Store* store = QUERN_TRY(tracking());
  auto version = QUERN_TRY(store->FindVersionByAlias(model_.name, std::string(tracking::kChampion)));
  if (!version) return std::nullopt;
  return std::optional<ModelInUse>(QUERN_TRY(Open(*version)));
}

Result<std::optional<ModelInUse>> NodeWork::ChampionIfAny() {
  tracking::Store* store = QUERN_TRY(options_.tracking_if_any());
  if (!store) return std::nullopt;
  return Champion();
}

// ---- scoring

Result<std::vector<std::string>> ClassesOf(engine::Connection& connection, const std::string& query,
                                           const BoundColumn& label, Task task) {
  if (task == Task::kRegression) return std::vector<std::string>();
  if (label.type == "BOOLEAN") return std::vector<std::string>{"false", "true"};
  auto found = QUERN_TRY(connection.Execute(
      fmt::format("SELECT CAST(c AS VARCHAR) FROM (SELECT DISTINCT {} AS c FROM ({})) WHERE c IS NOT NULL ORDER BY c",
                  QuoteIdentifier(label.name), query)));
  std::vector<std::string> out;
  for (const auto& row : found.rows) out.push_back(engine::ToText(row[0]));
  return out;
}

struct Scorer::State {
  engine::Connection* connection = nullptr;
  std::string function;
  std::shared_ptr<const LoadedModel> model;  // null: a model of another flavor
  std::shared_ptr<ScoringCounts> counts;
  MlflowScoring mlflow;
  std::vector<ModelInput> inputs;
  std::vector<ScoredRows> scored;  // by Python
};

Scorer::Scorer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;
Scorer::~Scorer() = default;

Result<Scorer> Scorer::Open(engine::Connection& connection, const fs::path& folder, const std::string& name,
                            const ProviderOptions& options, const ModelConfig& model, const ScoredAs& as,
                            schedule::TaskContext* context) {
  auto state = std::make_unique<State>();
  state->connection = &connection;
  if (QUERN_TRY(ModelKindOf(folder)) == ModelKind::kXgboost) {
    state->model = QUERN_TRY(LoadedModel::Load(folder));
    state->counts = std::make_shared<ScoringCounts>(state->model->spec().features.size());
    state->function = "quern_score_" + name;
    QUERN_TRY(CreateScoringFunction(connection, state->function, state->model, {.counts = state->counts}));
    for (const auto& feature : state->model->spec().features) state->inputs.push_back({feature.name});
    return Scorer(std::move(state));
  }
  auto& mlflow = state->mlflow;
  mlflow.model_folder = folder;
  mlflow.environments = options.environments;
  mlflow.work = options.work;
  if (model.train.script && !as.foreign) {
    mlflow.trainer.requirements =
        model.train.script->requirements.empty() ? fs::path() : options.project / model.train.script->requirements;
    mlflow.trainer.requirements_name = model.train.script->requirements.generic_string();
    mlflow.trainer.timeout = model.train.script->timeout;
  } else {
    mlflow.trainer.requirements = folder / "requirements.txt";
    mlflow.trainer.requirements_name = (folder / "requirements.txt").string();
  }
  state->inputs = QUERN_TRY(ModelInputsOf(folder));
  if (state->inputs.empty()) {
    for (const auto& feature : as.features) state->inputs.push_back({feature});
  }
  mlflow.task = as.task;
  mlflow.classes = as.classes;
  mlflow.threshold = model.predict.threshold;
  if (context) {
    mlflow.cancellation = context->cancellation;
    if (context->log) mlflow.log = [log = context->log](std::string_view line) { log->Line(line); };
  }
  return Scorer(std::move(state));
}

Result<std::string> Scorer::Predictions(const std::string& query, const std::vector<std::string>& columns) {
  state_->mlflow.features.clear();
  const auto there = QUERN_TRY(state_->connection->Describe(query));
  for (const auto& input : state_->inputs) {
    if (std::any_of(there.begin(), there.end(), [&](const auto& c) { return EqualsIgnoreCase(c.name, input.name); })) {
      state_->mlflow.features.push_back(input.name);
    } else if (input.required) {
      std::vector<std::string> names;
      for (const auto& column : there) names.push_back(column.name);
      return Fail(Error(ErrorCode::kSqlBind,
                        fmt::format("the model needs the column '{}', which the dataset does not have", input.name))
                      .Hint(DidYouMean(input.name, names)));
    }
  }
  if (state_->model) return PredictionQuery(state_->model->spec(), state_->function, query, columns);
  state_->scored.push_back(QUERN_TRY(ScoreWithMlflow(*state_->connection, state_->mlflow, query, columns)));
  return fmt::format("SELECT * FROM read_parquet({})", QuoteLiteral(state_->scored.back().file.string()));
}

const std::vector<std::string>& Scorer::classes() const {
  return state_->model ? state_->model->spec().classes : state_->mlflow.classes;
}

Task Scorer::task() const {
  return state_->model ? state_->model->spec().task : state_->mlflow.task;
}

std::map<std::string, int64_t> Scorer::Unseen() const {
  std::map<std::string, int64_t> out;
  if (!state_->model) return out;
  const auto& features = state_->model->spec().features;
  for (size_t i = 0; i < features.size(); ++i) {
    if (auto n = state_->counts->unseen(i)) out[features[i].name] = n;
  }
  return out;
}

// ---- results

TaskResult NothingToDo(std::string why, Json values) {
  TaskResult result;
  result.status = TaskStatus::kNoOp;
  result.message = std::move(why);
  result.values = std::move(values);
  return result;
}

TaskResult FailedTask(Error error, const ModelConfig& model, const std::string& node) {
  TaskResult failed;
  failed.status = TaskStatus::kFailed;
  failed.message = error.message();
  switch (error.code()) {
    case ErrorCode::kModelConfig:
    case ErrorCode::kExpression:
    case ErrorCode::kTrainingData:
    case ErrorCode::kModelFile:
    case ErrorCode::kSqlBind:
    case ErrorCode::kSqlSyntax:
    case ErrorCode::kTrackingSchema:
    case ErrorCode::kUnknownKey:
    case ErrorCode::kWrongType:
      failed.retryable = false;
      break;
    default:
      break;
  }
  failed.error = std::move(error).At(model.pos).With("node", node);
  return failed;
}

}  // namespace quern::ml
