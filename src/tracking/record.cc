// What is written about runs: whole ones, and tags and metrics of those that are there.
#include <pwd.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/text.h"
#include "state/database.h"
#include "tracking/artifacts.h"
#include "tracking/batch_insert.h"
#include "tracking/names.h"
#include "tracking/store.h"

namespace quern::tracking {
namespace {

using state::Connection;
using state::Param;

std::string SystemUser() {
  for (const char* name : {"LOGNAME", "USER"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(::getuid());
}

/// A value as MLflow keeps it: NaN beside a mark, infinities as the largest finite numbers.
struct StoredValue {
  explicit StoredValue(double given)
      : is_nan(std::isnan(given) ? 1 : 0),
        value(is_nan != 0
                  ? 0
                  : std::clamp(given, std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max())) {}
  int64_t is_nan;
  double value;
};

Result<void> CheckRun(const NewRun& run) {
  QUERN_TRY(CheckRunId(run.run_id));
  for (const auto& [key, value] : run.params) QUERN_TRY(CheckKey("param", key));
  for (const auto& [key, value] : run.tags) QUERN_TRY(CheckKey("tag", key));
  for (const auto& metric : run.metrics) QUERN_TRY(CheckKey("metric", metric.key));
  if (run.parent_run_id) QUERN_TRY(CheckRunId(*run.parent_run_id));
  for (const auto& dataset : run.datasets) {
    if (dataset.name.empty() || Utf8Length(dataset.name) > 500 || dataset.digest.empty() ||
        dataset.digest.size() > 36) {
      return Fail(
          Error(ErrorCode::kInvalidArgument,
                fmt::format("the dataset '{}' of run {} needs a name of at most 500 characters and a digest of at "
                            "most 36 (has '{}')",
                            Cut(dataset.name, 60), run.run_id, Cut(dataset.digest, 60))));
    }
  }
  if (run.model) {
    QUERN_TRY(CheckLoggedModelName(run.model->name));
    for (const auto& [key, value] : run.model->tags) QUERN_TRY(CheckKey("tag", key));
  }
  return {};
}

/// Removes what belongs to a run but its own row, which others may refer to.
Result<void> Clear(Connection& db, const std::string& run_id, const std::string& kept_model) {
  for (std::string_view table : {"metrics", "latest_metrics", "params", "tags"}) {
    QUERN_TRY(db.Execute(fmt::format("DELETE FROM {} WHERE run_uuid = :p1", table), {run_id}));
  }
  QUERN_TRY(
      db.Execute("DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs WHERE destination_type "
                 "= 'RUN' AND destination_id = :p1 AND source_type = 'DATASET')",
                 {run_id}));
  QUERN_TRY(
      db.Execute("DELETE FROM inputs WHERE destination_type = 'RUN' AND destination_id = :p1 AND source_type = "
                 "'DATASET'",
                 {run_id}));
  const auto models =
      QUERN_TRY(db.Query("SELECT destination_id FROM inputs WHERE source_type = 'RUN_OUTPUT' AND "
                         "source_id = :p1 AND destination_type = 'MODEL_OUTPUT'",
                         {run_id}));
  for (const auto& row : models) {
    const std::string model = row.Text(0);
    QUERN_TRY(db.Execute("DELETE FROM logged_model_metrics WHERE model_id = :p1", {model}));
    QUERN_TRY(db.Execute("DELETE FROM logged_model_params WHERE model_id = :p1", {model}));
    // Which versions were made of the model stays true.
    QUERN_TRY(db.Execute("DELETE FROM logged_model_tags WHERE model_id = :p1 AND tag_key <> 'mlflow.modelVersions'",
                         {model}));
    if (model == kept_model) continue;
    QUERN_TRY(db.Execute("DELETE FROM logged_model_tags WHERE model_id = :p1", {model}));
    QUERN_TRY(db.Execute("DELETE FROM logged_models WHERE model_id = :p1", {model}));
  }
  QUERN_TRY(db.Execute("DELETE FROM inputs WHERE source_type = 'RUN_OUTPUT' AND source_id = :p1", {run_id}));
  return {};
}

bool Later(const Metric& a, const Metric& b) {
  return std::tuple(a.step, a.timestamp_ms, StoredValue(a.value).value) >
         std::tuple(b.step, b.timestamp_ms, StoredValue(b.value).value);
}

constexpr std::string_view kMetricInsert =
    "INSERT OR IGNORE INTO metrics (\"key\", value, timestamp, run_uuid, step, is_nan) VALUES";

/// Points and, beside them, the last of each key; a later one that is there stays.
Result<std::map<std::string, Metric>> WriteMetrics(Connection& db, const std::string& run_id,
                                                   const std::vector<Metric>& metrics, int64_t default_ms) {
  std::map<std::string, Metric> last;
  BatchInsert points(db, std::string(kMetricInsert), 6);
  for (Metric metric : metrics) {
    if (metric.timestamp_ms == 0) metric.timestamp_ms = default_ms;
    const StoredValue stored(metric.value);
    QUERN_TRY(points.Add({metric.key, stored.value, metric.timestamp_ms, run_id, metric.step, stored.is_nan}));
    auto [at, fresh] = last.try_emplace(metric.key, metric);
    if (!fresh && Later(metric, at->second)) at->second = metric;
  }
  QUERN_TRY(points.Finish());
  BatchInsert latest(
      db, "INSERT INTO latest_metrics (\"key\", value, timestamp, step, is_nan, run_uuid) VALUES", 6,
      "ON CONFLICT (\"key\", run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, step = "
      "excluded.step, is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) > "
      "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)");
  for (const auto& [key, metric] : last) {
    const StoredValue stored(metric.value);
    QUERN_TRY(latest.Add({key, stored.value, metric.timestamp_ms, metric.step, stored.is_nan, run_id}));
  }
  QUERN_TRY(latest.Finish());
  return last;
}

Result<void> WriteDatasets(Connection& db, const NewRun& run) {
  for (const auto& dataset : run.datasets) {
    const auto rows = QUERN_TRY(
        db.Query("SELECT dataset_uuid FROM datasets WHERE experiment_id = :p1 AND name = :p2 AND digest = :p3",
                 {run.experiment_id, dataset.name, dataset.digest}));
    const std::string uuid =
        rows.empty() ? Sha256Hex(fmt::format("dataset\n{}\n{}\n{}", run.experiment_id, dataset.name, dataset.digest))
                           .substr(0, 32)
                     : rows[0].Text(0);
    if (rows.empty()) {
      const auto text = [](const std::string& value) { return value.empty() ? Param() : Param(value); };
      QUERN_TRY(
          db.Execute("INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, "
                     "dataset_source, dataset_schema, dataset_profile) VALUES (:p1, :p2, :p3, :p4, :p5, :p6, :p7, "
                     ":p8)",
                     {uuid, run.experiment_id, dataset.name, dataset.digest, dataset.source_type, dataset.source,
                      text(dataset.schema), text(dataset.profile)}));
    }
    const std::string input = Sha256Hex(fmt::format("input\n{}\n{}", run.run_id, uuid)).substr(0, 32);
    // The same data given twice is one input, as MLflow has it.
    QUERN_TRY(
        db.Execute("INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, "
                   "destination_id) VALUES (:p1, 'DATASET', :p2, 'RUN', :p3)",
                   {input, uuid, run.run_id}));
    BatchInsert tags(db, "INSERT OR IGNORE INTO input_tags (input_uuid, name, value) VALUES", 3);
    if (!dataset.context.empty()) {
      QUERN_TRY(tags.Add({input, std::string("mlflow.data.context"), Cut(dataset.context, kInputTagCharacters)}));
    }
    for (const auto& [key, value] : dataset.tags) QUERN_TRY(tags.Add({input, key, Cut(value, kInputTagCharacters)}));
    QUERN_TRY(tags.Finish());
  }
  return {};
}

/// The model beside its run, as MLflow 3 lists it: READY, with the run's params and last metrics.
Result<void> WriteModel(Connection& db, const NewRun& run, const std::string& artifact_uri, const Values& tags,
                        const std::map<std::string, Metric>& last) {
  const RunModel& model = *run.model;
  const std::string id = ModelId(run.run_id, model.name);
  const int64_t end = MillisSinceEpoch(run.end);
  QUERN_TRY(db.Execute(
      "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "
      "last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) VALUES (:p1, :p2, :p3, :p4, :p5, "
      ":p5, 2, 'active', :p6, :p7) ON CONFLICT (model_id) DO UPDATE SET name = excluded.name, artifact_location = "
      "excluded.artifact_location, creation_timestamp_ms = excluded.creation_timestamp_ms, last_updated_timestamp_ms = "
      "excluded.last_updated_timestamp_ms, status = 2, lifecycle_stage = 'active', model_type = excluded.model_type",
      {id, run.experiment_id, model.name, artifact_uri + "/" + model.artifact_path, end,
       model.model_type.empty() ? Param() : Param(model.model_type), run.run_id}));
  QUERN_TRY(
      db.Execute("INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) VALUES "
                 "(:p1, 'RUN_OUTPUT', :p2, 'MODEL_OUTPUT', :p3)",
                 {Sha256Hex(fmt::format("output\n{}\n{}", run.run_id, id)).substr(0, 32), run.run_id, id}));
  BatchInsert params(db, "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES", 4);
  for (const auto& [key, value] : run.params) {
    QUERN_TRY(params.Add({id, run.experiment_id, key, Cut(value, kParamCharacters)}));
  }
  QUERN_TRY(params.Finish());
  Values all = model.tags;
  for (std::string_view key : {"mlflow.user", "mlflow.source.name", "mlflow.source.type"}) {
    if (auto at = tags.find(std::string(key)); at != tags.end()) all.insert(*at);
  }
  BatchInsert model_tags(
      db, "INSERT OR IGNORE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES", 4);
  for (const auto& [key, value] : all) {
    QUERN_TRY(model_tags.Add({id, run.experiment_id, key, Cut(value, kTagCharacters)}));
  }
  QUERN_TRY(model_tags.Finish());
  BatchInsert metrics(db,
                      "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, "
                      "metric_value, experiment_id, run_id) VALUES",
                      7);
  for (const auto& [key, metric] : last) {
    QUERN_TRY(metrics.Add(
        {id, key, metric.timestamp_ms, metric.step, StoredValue(metric.value).value, run.experiment_id, run.run_id}));
  }
  return metrics.Finish();
}

Values TagsOf(const NewRun& run, const std::string& user) {
  Values tags = run.tags;
  tags.try_emplace("mlflow.runName", run.name);
  tags.try_emplace("mlflow.user", user);
  tags.try_emplace("mlflow.source.name", run.source_name.empty() ? "quern" : run.source_name);
  tags.try_emplace("mlflow.source.type", "LOCAL");
  if (run.parent_run_id) tags["mlflow.parentRunId"] = *run.parent_run_id;
  return tags;
}

Result<void> NeedRun(Connection& db, const std::string& run_id) {
  const auto rows = QUERN_TRY(db.Query("SELECT 1 FROM runs WHERE run_uuid = :p1", {run_id}));
  if (!rows.empty()) return {};
  return Fail(ErrorCode::kTrackingNotFound, fmt::format("there is no run {}", run_id));
}

}  // namespace

Result<void> Store::RecordRun(const NewRun& run) {
  QUERN_TRY(CheckRun(run));
  const std::string user = run.user.empty() ? SystemUser() : run.user;
  const Values tags = TagsOf(run, user);
  const std::string artifact_uri = FileUri(RunFolder(run.experiment_id, run.run_id));
  return db_->Write([&](Connection& db) -> Result<void> {
    const auto experiments =
        QUERN_TRY(db.Query("SELECT 1 FROM experiments WHERE experiment_id = :p1", {run.experiment_id}));
    if (experiments.empty()) {
      return Fail(ErrorCode::kTrackingNotFound,
                  fmt::format("run {}: there is no experiment {}", run.run_id, run.experiment_id));
    }
    const auto before = QUERN_TRY(db.Query("SELECT experiment_id FROM runs WHERE run_uuid = :p1", {run.run_id}));
    if (!before.empty()) {
      if (before[0].Int(0) != run.experiment_id) {
        return Fail(ErrorCode::kTrackingConflict, fmt::format("run {} is one of experiment {}, not of {}", run.run_id,
                                                              before[0].Int(0), run.experiment_id));
      }
      QUERN_TRY(Clear(db, run.run_id, run.model ? ModelId(run.run_id, run.model->name) : ""));
    }
    QUERN_TRY(db.Execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) VALUES (:p1, :p2, 'UNKNOWN', '', '', "
        ":p3, :p4, :p5, :p6, '', 'active', :p7, :p8) ON CONFLICT (run_uuid) DO UPDATE SET name = excluded.name, "
        "user_id "
        "= excluded.user_id, status = excluded.status, start_time = excluded.start_time, end_time = excluded.end_time, "
        "lifecycle_stage = 'active', artifact_uri = excluded.artifact_uri, deleted_time = NULL",
        {run.run_id, Cut(tags.at("mlflow.runName"), 250), Cut(user, 256), std::string(Name(run.status)),
         MillisSinceEpoch(run.start), MillisSinceEpoch(run.end), artifact_uri, run.experiment_id}));
    BatchInsert params(db, "INSERT INTO params (\"key\", value, run_uuid) VALUES", 3);
    for (const auto& [key, value] : run.params) {
      QUERN_TRY(params.Add({key, Cut(value, kParamCharacters), run.run_id}));
    }
    QUERN_TRY(params.Finish());
    BatchInsert tag_rows(db, "INSERT INTO tags (\"key\", value, run_uuid) VALUES", 3);
    for (const auto& [key, value] : tags) QUERN_TRY(tag_rows.Add({key, Cut(value, kTagCharacters), run.run_id}));
    QUERN_TRY(tag_rows.Finish());
    const auto last = QUERN_TRY(WriteMetrics(db, run.run_id, run.metrics, MillisSinceEpoch(run.end)));
    QUERN_TRY(WriteDatasets(db, run));
    return run.model ? WriteModel(db, run, artifact_uri, tags, last) : Result<void>();
  });
}

Result<void> Store::SetTag(const std::string& run_id, const std::string& key, const std::string& value) {
  QUERN_TRY(CheckKey("tag", key));
  return db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(NeedRun(db, run_id));
    QUERN_TRY(
        db.Execute("INSERT INTO tags (\"key\", value, run_uuid) VALUES (:p1, :p2, :p3) ON CONFLICT (\"key\", "
                   "run_uuid) DO UPDATE SET value = excluded.value",
                   {key, Cut(value, kTagCharacters), run_id}));
    if (key == "mlflow.runName") {
      QUERN_TRY(db.Execute("UPDATE runs SET name = :p1 WHERE run_uuid = :p2", {Cut(value, 250), run_id}));
    }
    return {};
  });
}

Result<void> Store::LogMetrics(const std::string& run_id, const std::vector<Metric>& metrics) {
  for (const auto& metric : metrics) QUERN_TRY(CheckKey("metric", metric.key));
  const int64_t now = MillisSinceEpoch(Now());
  return db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(NeedRun(db, run_id));
    QUERN_TRY(WriteMetrics(db, run_id, metrics, now));
    return {};
  });
}

}  // namespace quern::tracking
