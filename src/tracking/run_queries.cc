// What is read about runs: each call a few statements over one view, whatever the number of runs.
#include <limits>

#include "base/text.h"
#include "state/database.h"
#include "tracking/store.h"

namespace quern::tracking {
namespace {

using state::Connection;
using state::Param;
using state::Row;

constexpr std::string_view kRunColumns =
    "r.run_uuid, r.experiment_id, r.name, r.status, r.start_time, r.end_time, r.artifact_uri, r.lifecycle_stage";

std::optional<Timestamp> TimeOf(const std::optional<int64_t>& ms) {
  if (!ms) return std::nullopt;
  return FromMicros(*ms * 1000);
}

Run ReadRun(const Row& row) {
  Run run;
  run.run_id = row.Text(0);
  run.experiment_id = row.Int(1);
  run.name = row.Text(2);
  run.status = row.Text(3);
  run.start = TimeOf(row.OptionalInt(4));
  run.end = TimeOf(row.OptionalInt(5));
  run.artifact_uri = row.Text(6);
  run.active = row.Text(7) == "active";
  return run;
}

/// `quote(value)` gives every digit of a number, where its plain text has fifteen.
Metric ReadMetric(const Row& row, size_t at) {
  Metric metric{
      .key = row.Text(at), .value = row.Float(at + 1), .step = row.Int(at + 2), .timestamp_ms = row.Int(at + 3)};
  if (row.Int(at + 4) != 0) metric.value = std::numeric_limits<double>::quiet_NaN();
  return metric;
}

struct Condition {
  std::string sql;
  std::vector<Param> params;
};

/// WHERE of active runs that pass the filter. A tag is found by its key, so that runs are not gone through one by one.
Condition ConditionOf(const RunFilter& filter) {
  Condition condition{.sql = "r.lifecycle_stage = 'active'", .params = {}};
  const auto param = [&](Param value) {
    condition.params.push_back(std::move(value));
    return fmt::format(":p{}", condition.params.size());
  };
  if (filter.experiment_id) condition.sql += " AND r.experiment_id = " + param(*filter.experiment_id);
  if (filter.status) condition.sql += " AND r.status = " + param(std::string(Name(*filter.status)));
  Values tags = filter.tags;
  if (filter.parent_run_id) tags["mlflow.parentRunId"] = *filter.parent_run_id;
  for (const auto& [key, value] : tags) {
    condition.sql += fmt::format(" AND r.run_uuid IN (SELECT run_uuid FROM tags WHERE \"key\" = {}", param(key));
    condition.sql += fmt::format(" AND value = {})", param(value));
  }
  return condition;
}

/// Fills in what belongs to the runs, a few hundred of them by one statement of each kind.
Result<void> ReadDetails(Connection& db, std::vector<Run>& runs) {
  constexpr size_t kChunk = 400;
  for (size_t begin = 0; begin < runs.size(); begin += kChunk) {
    std::unordered_map<std::string, Run*> by_id;
    std::vector<Param> ids;
    std::string in;
    for (size_t i = begin; i < std::min(begin + kChunk, runs.size()); ++i) {
      by_id[runs[i].run_id] = &runs[i];
      ids.emplace_back(runs[i].run_id);
      in += fmt::format("{}:p{}", in.empty() ? "" : ", ", ids.size());
    }
    const auto params =
        QUERN_TRY(db.Query(fmt::format("SELECT run_uuid, \"key\", value FROM params WHERE run_uuid IN ({})", in), ids));
    for (const auto& row : params) by_id.at(row.Text(0))->params[row.Text(1)] = row.Text(2);
    const auto tags =
        QUERN_TRY(db.Query(fmt::format("SELECT run_uuid, \"key\", value FROM tags WHERE run_uuid IN ({})", in), ids));
    for (const auto& row : tags) by_id.at(row.Text(0))->tags[row.Text(1)] = row.Text(2);
    const auto metrics = QUERN_TRY(db.Query(
        fmt::format(
            "SELECT run_uuid, \"key\", quote(value), step, timestamp, is_nan FROM latest_metrics WHERE run_uuid "
            "IN ({})",
            in),
        ids));
    for (const auto& row : metrics) {
      Metric metric = ReadMetric(row, 1);
      const std::string key = metric.key;
      by_id.at(row.Text(0))->metrics.emplace(key, std::move(metric));
    }
    const auto datasets = QUERN_TRY(db.Query(
        fmt::format("SELECT i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, "
                    "d.dataset_schema, d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
                    "WHERE i.destination_type = 'RUN' AND i.destination_id IN ({}) AND i.source_type = 'DATASET' ORDER "
                    "BY d.name, d.digest",
                    in),
        ids));
    const auto input_tags = QUERN_TRY(db.Query(
        fmt::format(
            "SELECT t.input_uuid, t.name, t.value FROM inputs i JOIN input_tags t ON t.input_uuid = i.input_uuid "
            "WHERE i.destination_type = 'RUN' AND i.destination_id IN ({}) AND i.source_type = 'DATASET'",
            in),
        ids));
    std::unordered_map<std::string, Values> tags_of;
    for (const auto& row : input_tags) tags_of[row.Text(0)][row.Text(1)] = row.Text(2);
    for (const auto& row : datasets) {
      DatasetInput input{.name = row.Text(2),
                         .digest = row.Text(3),
                         .source_type = row.Text(4),
                         .source = row.Text(5),
                         .schema = row.Text(6),
                         .profile = row.Text(7),
                         .context = "",
                         .tags = tags_of[row.Text(1)]};
      if (auto at = input.tags.find("mlflow.data.context"); at != input.tags.end()) {
        input.context = at->second;
        input.tags.erase(at);
      }
      by_id.at(row.Text(0))->datasets.push_back(std::move(input));
    }
    const auto models = QUERN_TRY(db.Query(
        fmt::format(
            "SELECT i.source_id, m.model_id FROM inputs i JOIN logged_models m ON m.model_id = i.destination_id "
            "WHERE i.source_type = 'RUN_OUTPUT' AND i.source_id IN ({}) AND i.destination_type = 'MODEL_OUTPUT' "
            "AND m.lifecycle_stage = 'active' ORDER BY m.creation_timestamp_ms, m.model_id",
            in),
        ids));
    for (const auto& row : models) {
      auto& model_id = by_id.at(row.Text(0))->model_id;
      if (!model_id) model_id = row.Text(1);
    }
  }
  return {};
}

}  // namespace

Result<std::optional<Run>> Store::FindRun(const std::string& run_id) {
  std::vector<Run> runs;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    const auto rows =
        QUERN_TRY(db.Query(fmt::format("SELECT {} FROM runs r WHERE r.run_uuid = :p1", kRunColumns), {run_id}));
    for (const auto& row : rows) runs.push_back(ReadRun(row));
    return ReadDetails(db, runs);
  }));
  if (runs.empty()) return std::nullopt;
  return std::move(runs[0]);
}

Result<std::vector<Run>> Store::ListRuns(const RunFilter& filter) {
  std::vector<Run> runs;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    const Condition condition = ConditionOf(filter);
    const std::string limit = filter.limit == 0 ? "" : fmt::format(" LIMIT {}", filter.limit);
    const auto rows = QUERN_TRY(db.Query(fmt::format("SELECT {} FROM runs r WHERE {} ORDER BY r.start_time DESC, "
                                                     "r.run_uuid{}",
                                                     kRunColumns, condition.sql, limit),
                                         condition.params));
    for (const auto& row : rows) runs.push_back(ReadRun(row));
    return ReadDetails(db, runs);
  }));
  return runs;
}

Result<std::optional<Run>> Store::BestRun(const RunFilter& filter, const std::string& metric, bool larger_is_better) {
  std::vector<Run> runs;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    Condition condition = ConditionOf(filter);
    condition.params.emplace_back(metric);
    const auto rows = QUERN_TRY(db.Query(
        fmt::format(
            "SELECT {} FROM runs r JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.\"key\" = :p{} WHERE {} "
            "AND m.is_nan = 0 ORDER BY m.value {}, r.start_time, r.run_uuid LIMIT 1",
            kRunColumns, condition.params.size(), condition.sql, larger_is_better ? "DESC" : "ASC"),
        condition.params));
    for (const auto& row : rows) runs.push_back(ReadRun(row));
    return ReadDetails(db, runs);
  }));
  if (runs.empty()) return std::nullopt;
  return std::move(runs[0]);
}

Result<std::vector<Metric>> Store::MetricHistory(const std::string& run_id, const std::string& key) {
  const auto rows = QUERN_TRY(db_->Query(
      "SELECT \"key\", quote(value), step, timestamp, is_nan FROM metrics WHERE run_uuid = :p1 AND \"key\" = "
      ":p2 ORDER BY timestamp, step, metrics.value",
      {run_id, key}));
  std::vector<Metric> points;
  for (const auto& row : rows) points.push_back(ReadMetric(row, 0));
  return points;
}

}  // namespace quern::tracking
