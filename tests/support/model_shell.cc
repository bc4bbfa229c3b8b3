// model_shell PLAN.json: trains and scores a model on an engine of its own, for tests that compare with MLflow and for
// benchmarks. The plan:
//   {"setup": [SQL, ...], "threads": 1,
//    "train": {"query", "validation_query", "key", "label", "features", "categorical", "task", "positive", "threshold",
//              "parameters", "rounds", "early_stopping", "class_weight", "seed", "threads"},
//    "script": a shell command that trains instead, on the rows that "train" names,
//    "work": a folder, for the script
//    "folder": where the model is, or is put,
//    "score": {"query", "columns", "output": a Parquet file}}
// Prints what training gave and how long each step took, as JSON.
#include <chrono>
#include <iostream>

#include "base/json.h"
#include "base/text.h"
#include "engine/duckdb/database.h"
#include "io/files.h"
#include "ml/model/loaded_model.h"
#include "ml/model/model_folder.h"
#include "ml/model/script_trainer.h"
#include "ml/xgboost/trainer.h"

namespace quern {
namespace {

using Strings = std::vector<std::string>;

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

ml::TrainRequest RequestOf(const Json& json) {
  ml::TrainRequest out;
  out.query = json.at("query");
  out.validation_query = json.value("validation_query", "");
  out.key = json.value("key", Strings());
  out.label = json.at("label");
  out.features = json.at("features").get<Strings>();
  out.categorical = json.value("categorical", Strings());
  if (json.contains("task")) out.task = ml::TaskNamed(json["task"].get<std::string>());
  out.positive = json.value("positive", "");
  out.threshold = json.value("threshold", 0.5);
  out.parameters = json.value("parameters", Json::object());
  out.rounds = json.value("rounds", 50);
  out.early_stopping = json.value("early_stopping", 10);
  out.seed = json.value("seed", 7);
  out.threads = json.value("threads", 1);
  if (json.contains("class_weight")) {
    const Json& weight = json["class_weight"];
    out.class_weight.mode = weight.is_string() ? ml::ClassWeight::Mode::kBalanced : ml::ClassWeight::Mode::kGiven;
    if (weight.is_object()) out.class_weight.weights = weight.get<std::map<std::string, double>>();
  }
  return out;
}

Result<Json> TrainByScript(engine::Connection& connection, const Json& plan) {
  ml::TrainRequest rows = RequestOf(plan.at("train"));
  ml::ScriptTrainRequest request;
  request.trainer.shell = plan.at("script");
  request.project = request.work = plan.at("work").get<std::string>();
  request.model_folder = plan.at("folder").get<std::string>();
  request.query = rows.query;
  request.validation_query = rows.validation_query;
  request.label = rows.label;
  request.features = rows.features;
  request.parameters = rows.parameters;
  request.task = rows.task;
  request.log = [](std::string_view line) { std::cerr << line << "\n"; };
  return Json{{"metrics", QUERN_TRY(ml::TrainWithScript(connection, request)).metrics}};
}

// By Python, in the environment as it is.
Result<void> ScoreByMlflow(engine::Connection& connection, const Json& plan) {
  const Json &train = plan.at("train"), &score = plan.at("score");
  ml::MlflowScoring scoring;
  scoring.model_folder = plan.at("folder").get<std::string>();
  scoring.work = plan.at("work").get<std::string>();
  scoring.features = train.at("features").get<Strings>();
  scoring.task = *ml::TaskNamed(train.at("task").get<std::string>());
  scoring.classes = train.value("classes", Strings());
  auto scored =
      QUERN_TRY(ml::ScoreWithMlflow(connection, scoring, score.at("query"), score.at("columns").get<Strings>()));
  std::filesystem::rename(scored.file, score.at("output").get<std::string>());
  return {};
}

Result<Json> Run(const Json& plan) {
  auto database = QUERN_TRY(engine::DuckDatabase::Open({.threads = plan.value("threads", 1)}));
  auto connection = QUERN_TRY(database->Connect());
  for (const auto& sql : plan.value("setup", Strings())) QUERN_TRY(connection->Execute(sql));
  std::filesystem::path folder = plan.at("folder").get<std::string>();
  Json out = Json::object();
  if (plan.contains("script")) {
    out = QUERN_TRY(TrainByScript(*connection, plan));
    QUERN_TRY(ScoreByMlflow(*connection, plan));
    return out;
  }
  if (plan.contains("train")) {
    auto start = std::chrono::steady_clock::now();
    auto model = QUERN_TRY(ml::TrainXgboost(*connection, RequestOf(plan["train"])));
    out["train_seconds"] = Seconds(start);
    out["metrics"] = model.metrics;
    out["rounds"] = model.rounds;
    for (const auto& warning : model.warnings) out["warnings"].push_back(warning.message());
    for (const auto& one : model.importance) out["importance"][one.feature] = {one.gain, one.weight, one.cover};
    for (const auto& file : QUERN_TRY(ml::WriteModelFolder(model, folder, {}))) out["files"][file.path] = file.sha256;
  }
  if (plan.contains("score")) {
    const Json& score = plan["score"];
    auto start = std::chrono::steady_clock::now();
    auto model = QUERN_TRY(ml::LoadedModel::Load(folder));
    out["load_seconds"] = Seconds(start);
    ml::ScoringOptions options;
    options.counts = std::make_shared<ml::ScoringCounts>(model->spec().features.size());
    QUERN_TRY(ml::CreateScoringFunction(*connection, "score_rows", model, options));
    auto query =
        ml::PredictionQuery(model->spec(), "score_rows", score.at("query"), score.at("columns").get<Strings>());
    start = std::chrono::steady_clock::now();
    QUERN_TRY(connection->Execute(
        fmt::format("COPY ({}) TO {} (FORMAT parquet)", query, QuoteLiteral(score.at("output").get<std::string>()))));
    out["score_seconds"] = Seconds(start);
    out["scored"] = options.counts->rows();
    for (size_t i = 0; i < model->spec().features.size(); i++)
      out["unseen"][model->spec().features[i].name] = options.counts->unseen(i);
  }
  return out;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: model_shell PLAN.json\n";
    return 2;
  }
  auto text = quern::io::ReadFile(argv[1]);
  auto plan = text ? quern::ParseJson(*text, argv[1]) : tl::make_unexpected(text.error());
  auto out = plan ? quern::Run(*plan) : tl::make_unexpected(plan.error());
  if (!out) {
    std::cerr << out.error().ToString() << "\n";
    return 1;
  }
  std::cout << out->dump(1) << "\n";
  return 0;
}
