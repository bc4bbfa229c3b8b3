#include <fmt/format.h>

#include "base/text.h"
#include "ml/expression.h"
#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/tasks.h"

namespace quern::ml {
namespace {

void AddNumbers(Environment& environment, const std::string& prefix, const Json& values) {
  if (!values.is_object()) return;
  for (const auto& [name, value] : values.items()) {
    if (value.is_number()) environment.values[prefix + name] = Measured::Number(value.get<double>());
  }
}

// The names of retrain_when with what is known of them now.
Environment EnvironmentOf(const schedule::RunContext& run, const Json& monitored,
                          const std::optional<ModelInUse>& champion) {
  Environment environment;
  environment.now = run.interval.end;
  environment.zone = run.zone;
  AddNumbers(environment, "", monitored.value("metrics", Json()));
  AddNumbers(environment, "dummy.", monitored.value("dummy", Json()));
  for (const char* name : {"rows", "labeled", "positive_share"}) {
    if (monitored.contains(name)) environment.values[name] = Measured::Number(monitored[name].get<double>());
  }
  if (monitored.contains("drift")) {
    const auto& drift = monitored["drift"];
    AddNumbers(environment, "drift.", drift.value("features", Json()));
    for (const char* name : {"share", "count"}) {
      if (drift.contains(name))
        environment.values[std::string("drift.") + name] = Measured::Number(drift[name].get<double>());
    }
  }
  AddNumbers(environment, "predictions.", monitored.value("predictions", Json()));
  if (champion) {
    if (champion->training.is_object()) {
      AddNumbers(environment, "baseline.", champion->training.value("baseline", Json()));
    }
    environment.values["age"] = Measured::Since(*champion->trained_until);
  } else {
    environment.values["age"] = Measured::UnknownBecause("there is no champion");
  }
  return environment;
}

}  // namespace

Result<std::string> RetrainingOutlook(NodeWork& work) {
  const auto& model = work.model();
  if (work.run().interval.start == work.run().interval.end)
    return std::string("outside a schedule there is no interval to judge");
  auto champion = QUERN_TRY(work.ChampionIfAny());
  if (!champion) return std::string("would train, as soon as there are labelled rows: there is no champion yet");
  const auto who = fmt::format("version {}", champion->version.version);
  if (!model.retrain_when) return fmt::format("{} stays: no retrain_when is given", who);
  auto environment = EnvironmentOf(work.run(), Json::object(), champion);
  for (const auto& name : model.retrain_when->names()) {
    if (!environment.values.contains(name))
      environment.values[name] = Measured::UnknownBecause("it is known once this run has judged it");
  }
  const auto verdict = model.retrain_when->Evaluate(environment);
  if (verdict.truth == Truth::kTrue) return fmt::format("{} would be retrained: {}", who, verdict.reason);
  if (verdict.truth == Truth::kFalse) return fmt::format("{} stays: {}", who, verdict.reason);
  return fmt::format("{} would be retrained when {} ({})", who, model.retrain_when->text(), verdict.reason);
}

Result<schedule::TaskResult> DecideRetraining(NodeWork& work) {
  const auto& model = work.model();
  const auto& run = work.run();
  if (run.interval.start == run.interval.end)
    return NothingToDo("outside a schedule there is no interval to judge", {{"retrain", false}});
  auto champion = QUERN_TRY(work.Champion());
  const Json monitored = work.ValuesOf("monitor");
  bool retrain = false;
  std::string reason;
  Json measured = Json::object();
  if (!champion) {
    retrain = true;
    reason = "there is no champion yet";
  } else if (!model.retrain_when) {
    reason = "no retrain_when is given";
  } else {
    auto verdict = model.retrain_when->Evaluate(EnvironmentOf(run, monitored, champion));
    retrain = verdict.holds();
    reason = verdict.reason;
    measured = verdict.values;
  }

  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  const auto table = RetrainingTable(model);
  QUERN_TRY(EnsureTable(*house, table, RetrainingColumns(), work.CommitContext()));
  QUERN_TRY(EnsureTable(*house, DecisionsTable(model), DecisionsColumns(), work.CommitContext()));
  if (!QUERN_TRY(work.IsDone(table))) {
    NewRows rows(RetrainingColumns());
    rows.Begin();
    rows.Set("period_start", InstantSql(run.interval.start));
    rows.Set("period_end", InstantSql(run.interval.end));
    rows.Set("verdict", Sql(retrain));
    if (model.retrain_when) rows.Set("expression", Sql(model.retrain_when->text()));
    rows.Set("reason", Sql(reason));
    rows.Set("values", SqlOf(measured));
    if (champion) rows.Set("model_version", Sql(champion->version.version));
    rows.Set("dag_run", Sql(run.dag_run));
    rows.Set("_quern_computed_at", InstantSql(run.clock->Now()));
    auto session = QUERN_TRY(work.Session({table}));
    std::string before;
    if (run.full_refresh)
      before = fmt::format("DELETE FROM {} WHERE dag_run = {}", QuoteTable(table), QuoteLiteral(run.dag_run));
    QUERN_TRY(WriteRows(*session, table, before, rows));
  }
  schedule::TaskResult result;
  result.message = (retrain ? "retrain: " : "keep: ") + reason;
  result.values = {{"retrain", retrain}, {"reason", reason}, {"measured", measured}, {"first", !champion}};
  if (champion) result.values["model_version"] = champion->version.version;
  return result;
}

}  // namespace quern::ml
