#include "report/model_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "report/model_tables.h"

namespace quern::report {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchema = "monitoring";
const std::vector<std::string> kSuffixes = {"_performance", "_predictions", "_profile",
                                            "_drift",       "_retraining",  "_decisions"};

std::optional<std::string> ModelOf(const std::string& table) {
  for (const auto& suffix : kSuffixes) {
    if (table.size() > suffix.size() && table.ends_with(suffix)) return table.substr(0, table.size() - suffix.size());
  }
  return std::nullopt;
}

// Fills one model; a table after the other.
class ModelReader {
 public:
  ModelReader(warehouse::Warehouse& warehouse, warehouse::Session& session, const std::set<std::string>& tables,
              const ModelReaderOptions& options, ModelData& out)
      : warehouse_(warehouse), session_(session), tables_(tables), options_(options), out_(out) {}

  void Read() {
    FindPeriods();
    if (auto table = Open("_performance")) ReadPerformance(*table);
    if (auto table = Open("_predictions")) ReadPredictions(*table);
    if (auto table = Open("_drift")) ReadDrift(*table);
    if (auto table = Open("_profile")) ReadProfile(*table);
    if (auto table = Open("_retraining")) ReadVerdicts(*table);
    if (auto table = Open("_decisions")) ReadDecisions(*table);
    CountPredictions();
  }

 private:
  // A table's columns, when it is there and readable.
  std::optional<TableReader> Open(const std::string& suffix) {
    const std::string name = out_.name + suffix;
    if (!tables_.contains(Lower(name))) return std::nullopt;
    auto info = warehouse_.Describe({kSchema, name});
    if (!info) return Problem(name, info.error()), std::nullopt;
    return TableReader(session_, {kSchema, name}, info->columns);
  }
  void Problem(const std::string& table, const Error& error) {
    out_.problems.push_back(fmt::format("{}.{}: {}", kSchema, table, error.message()));
  }
  std::vector<TableRow> Rows(TableReader& table, const std::vector<TableReader::Want>& wants, const std::string& rest) {
    auto rows = table.Read(wants, rest);
    if (rows) return *std::move(rows);
    Problem(table.name().table, rows.error());
    return {};
  }
  // A condition that takes the periods shown.
  std::string Shown(const TableReader& table) const {
    if (!table.Has("period_start") || out_.periods.empty()) return "false";
    return fmt::format("epoch_us(TRY_CAST(period_start AS TIMESTAMPTZ)) >= {}",
                       MicrosSinceEpoch(out_.periods.front().start));
  }
  std::optional<int> PeriodOf(const TableRow& row, const char* column) const {
    auto start = row.Integer(column);
    if (!start) return std::nullopt;
    auto it = periods_.find(*start);
    return it == periods_.end() ? std::nullopt : std::optional(it->second);
  }

  void FindPeriods() {
    std::map<int64_t, int64_t> found;  // start -> end
    std::string zone_of;
    for (const auto& suffix : kSuffixes) {
      auto table = Open(suffix);
      if (!table || !table->Has("period_start")) continue;
      auto rows = Rows(
          *table,
          {{"start", "epoch_us(TRY_CAST(period_start AS TIMESTAMPTZ))"},
           {"stop", table->Has("period_end") ? "max(epoch_us(TRY_CAST(period_end AS TIMESTAMPTZ)))" : "NULL"},
           {"run", table->Has("dag_run") ? "any_value(CAST(dag_run AS VARCHAR))" : "NULL"}},
          fmt::format("WHERE period_start IS NOT NULL GROUP BY 1 ORDER BY 1 DESC LIMIT {}", options_.most_periods + 1));
      for (const auto& row : rows) {
        auto start = row.Integer("start");
        if (!start) continue;
        auto& end = found[*start];
        end = std::max(end, row.Integer("stop").value_or(*start));
        if (zone_of.empty()) zone_of = row.Text("run");
      }
    }
    const auto most = static_cast<size_t>(options_.most_periods);
    while (found.size() > most) {
      found.erase(found.begin());
      out_.periods_left_out = 1;
    }
    for (const auto& [start, end] : found) {
      periods_[start] = static_cast<int>(out_.periods.size());
      out_.periods.push_back({FromMicros(start), FromMicros(end), ""});
    }
    LabelPeriods(out_.periods, ZoneOf(zone_of.substr(0, zone_of.find('/'))));
  }
  // The zone of the schedule whose runs wrote the rows; when it is gone, one in which the periods are whole days.
  TimeZone ZoneOf(const std::string& schedule) const {
    if (auto it = options_.zones.find(schedule); it != options_.zones.end()) return it->second;
    for (const auto& [name, zone] : options_.zones) {
      if (std::all_of(out_.periods.begin(), out_.periods.end(), [&, &zone = zone](const Period& period) {
            return FormatShort(zone.ToLocal(period.start)).size() == std::string_view("2013-05-01").size();
          }))
        return zone;
    }
    return TimeZone::Utc();
  }

  void ReadPerformance(TableReader& table) {
    out_.task = table.Has("rmse")                                ? ModelTask::kRegression
                : table.Has("tp") || table.Has("positive_share") ? ModelTask::kBinary
                : table.Has("accuracy")                          ? ModelTask::kMulticlass
                                                                 : ModelTask::kUnknown;
    auto wants = table.Columns({"model_version", "rows", "labeled"}, "BIGINT");
    const std::vector<std::string> extra = {"tp", "fp", "tn", "fn"};
    auto metrics = MetricsToShow(out_.task);
    if (out_.task == ModelTask::kBinary) metrics.insert(metrics.end(), extra.begin(), extra.end());
    std::vector<std::string> numbers = {"positive_share"};
    for (const auto& metric : metrics) numbers.insert(numbers.end(), {metric, "dummy_" + metric});
    table.Add(wants, numbers, "DOUBLE");
    table.Add(wants, {"slice", "calibration"}, "VARCHAR");
    table.AddInstant(wants, "period_start");
    for (const auto& row : Rows(table, wants, "WHERE " + Shown(table) + " ORDER BY period_start, slice LIMIT 20000")) {
      auto period = PeriodOf(row, "period_start");
      if (!period) continue;
      Performance one;
      one.period = *period;
      one.slice = row.Text("slice");
      one.version = row.Integer("model_version");
      one.rows = row.Integer("rows").value_or(0);
      one.labeled = row.Integer("labeled").value_or(0);
      one.positive_share = row.Number("positive_share");
      for (const auto& metric : metrics) {
        one.metrics[metric] = row.Number(metric);
        one.dummy[metric] = row.Number("dummy_" + metric);
      }
      one.calibration = CalibrationOf(row.Text("calibration"));
      out_.performance.push_back(std::move(one));
    }
  }

  void ReadPredictions(TableReader& table) {
    auto wants = table.Columns({"model_version", "rows"}, "BIGINT");
    table.Add(wants, {"mean", "min", "max", "p05", "p25", "p50", "p75", "p95"}, "DOUBLE");
    table.Add(wants, {"class_shares", "confidence"}, "VARCHAR");
    table.AddInstant(wants, "period_start");
    const std::string all = table.Has("slice") ? " AND slice = ''" : "";
    for (const auto& row : Rows(table, wants, "WHERE " + Shown(table) + all + " ORDER BY period_start LIMIT 2000")) {
      auto period = PeriodOf(row, "period_start");
      if (!period) continue;
      PredictionFigures one;
      one.period = *period;
      one.version = row.Integer("model_version");
      one.rows = row.Integer("rows").value_or(0);
      one.mean = row.Number("mean");
      one.min = row.Number("min");
      one.max = row.Number("max");
      one.p05 = row.Number("p05");
      one.p25 = row.Number("p25");
      one.p50 = row.Number("p50");
      one.p75 = row.Number("p75");
      one.p95 = row.Number("p95");
      one.class_shares = SharesOf(row.Text("class_shares"));
      one.confidence = HistogramOf(row.Text("confidence"));
      out_.predictions.push_back(std::move(one));
    }
  }

  void ReadDrift(TableReader& table) {
    auto wants = table.Columns({"model_version", "reference_rows", "current_rows"}, "BIGINT");
    table.Add(wants, {"value", "threshold"}, "DOUBLE");
    table.Add(wants, {"feature", "method", "note"}, "VARCHAR");
    table.Add(wants, {"drifted"}, "BOOLEAN");
    table.AddInstant(wants, "period_start");
    const std::string defaults = table.Has("is_default") ? " AND is_default" : "";
    for (const auto& row :
         Rows(table, wants, "WHERE " + Shown(table) + defaults + " ORDER BY period_start, feature LIMIT 50000")) {
      auto period = PeriodOf(row, "period_start");
      if (!period) continue;
      Drift one;
      one.period = *period;
      one.version = row.Integer("model_version");
      one.feature = row.Text("feature");
      one.method = row.Text("method");
      one.value = row.Number("value");
      one.threshold = row.Number("threshold").value_or(0);
      one.drifted = row.True("drifted");
      one.reference_rows = row.Integer("reference_rows").value_or(0);
      one.current_rows = row.Integer("current_rows").value_or(0);
      one.note = row.Text("note");
      out_.drift.push_back(std::move(one));
    }
  }

  void ReadProfile(TableReader& table) {
    if (!table.Has("period_start")) return;
    auto wants = table.Columns({"rows", "cardinality"}, "BIGINT");
    table.Add(wants, {"null_rate", "mean", "stddev", "min", "p50", "max"}, "DOUBLE");
    table.Add(wants, {"feature", "type"}, "VARCHAR");
    // Of several versions the newest.
    const std::string version =
        table.Has("model_version") ? " QUALIFY row_number() OVER (PARTITION BY feature ORDER BY model_version DESC) = 1"
                                   : "";
    for (const auto& row :
         Rows(table, wants,
              fmt::format("WHERE period_start = (SELECT max(period_start) FROM {}){} ORDER BY feature LIMIT 2000",
                          table.Quoted(), version))) {
      FeatureProfile one;
      one.feature = row.Text("feature");
      one.type = row.Text("type");
      one.rows = row.Integer("rows").value_or(0);
      one.null_rate = row.Number("null_rate");
      one.cardinality = row.Integer("cardinality");
      one.mean = row.Number("mean");
      one.stddev = row.Number("stddev");
      one.min = row.Number("min");
      one.p50 = row.Number("p50");
      one.max = row.Number("max");
      out_.profile.push_back(std::move(one));
    }
  }

  void ReadVerdicts(TableReader& table) {
    auto wants = table.Columns({"model_version"}, "BIGINT");
    table.Add(wants, {"expression", "reason", "dag_run"}, "VARCHAR");
    table.Add(wants, {"verdict"}, "BOOLEAN");
    table.AddInstant(wants, "period_start");
    for (const auto& row : Rows(table, wants, "WHERE " + Shown(table) + " ORDER BY period_start LIMIT 2000")) {
      auto period = PeriodOf(row, "period_start");
      if (!period) continue;
      out_.verdicts.push_back({*period, row.True("verdict"), row.Text("expression"), row.Text("reason"),
                               row.Text("dag_run"), row.Integer("model_version")});
    }
    if (table.Has("verdict")) {
      auto counted = Rows(table, {{"n", "count(*) FILTER (WHERE verdict)"}}, "");
      if (!counted.empty()) out_.retrainings = counted[0].Integer("n");
    }
  }

  void ReadDecisions(TableReader& table) {
    auto wants = table.Columns({"model_version", "champion_before"}, "BIGINT");
    table.Add(wants, {"candidate_value", "champion_value", "dummy_value"}, "DOUBLE");
    table.Add(wants, {"decision", "candidate", "run_id", "metric", "reason", "decided_by", "candidates"}, "VARCHAR");
    table.AddInstant(wants, "period_start");
    table.AddInstant(wants, "_quern_computed_at");
    const std::string order = table.Has("_quern_computed_at") ? "_quern_computed_at DESC NULLS LAST" : "1";
    auto rows = Rows(table, wants,
                     fmt::format("ORDER BY {} LIMIT 200",
                                 table.Has("period_start") ? "period_start DESC NULLS LAST, " + order : order));
    // Those by hand have no period: they stand where their moment puts them.
    for (const auto& row : rows) {
      Decision one;
      one.period = PeriodOf(row, "period_start");
      if (!one.period && row.Integer("period_start")) continue;  // of a period that is not shown
      one.decision = row.Text("decision");
      one.candidate = row.Text("candidate");
      one.run_id = row.Text("run_id");
      one.version = row.Integer("model_version");
      one.champion_before = row.Integer("champion_before");
      one.metric = row.Text("metric");
      one.candidate_value = row.Number("candidate_value");
      one.champion_value = row.Number("champion_value");
      one.dummy_value = row.Number("dummy_value");
      one.reason = row.Text("reason");
      one.decided_by = row.Text("decided_by");
      one.candidates = CandidatesOf(row.Text("candidates"));
      GuessTask(one);
      if (auto at = row.Integer("_quern_computed_at")) one.at = FromMicros(*at);
      out_.decisions.push_back(std::move(one));
    }
    std::reverse(out_.decisions.begin(), out_.decisions.end());
    std::stable_sort(out_.decisions.begin(), out_.decisions.end(),
                     [](const Decision& a, const Decision& b) { return a.at < b.at; });
    if (table.Has("decision")) {
      for (const auto& row : Rows(table, {{"decision", "CAST(decision AS VARCHAR)"}, {"n", "count(*)"}},
                                  "GROUP BY ALL ORDER BY 1 LIMIT 50"))
        out_.decided[row.Text("decision")] = row.Integer("n").value_or(0);
    }
  }

  // Before anything was judged the candidates' figures tell what kind of model it is.
  void GuessTask(const Decision& decision) {
    if (out_.task != ModelTask::kUnknown || decision.candidates.empty()) return;
    const auto& metrics = decision.candidates.front().metrics;
    out_.task = metrics.contains("rmse")       ? ModelTask::kRegression
                : metrics.contains("brier")    ? ModelTask::kBinary
                : metrics.contains("accuracy") ? ModelTask::kMulticlass
                                               : ModelTask::kUnknown;
  }

  // From the log's statistics: no file is opened.
  void CountPredictions() {
    auto known = options_.known.find(out_.name);
    const warehouse::TableName table = known != options_.known.end() && !known->second.table.empty()
                                           ? known->second
                                           : warehouse::TableName{"predictions", out_.name};
    auto exists = warehouse_.Exists(table);
    if (!exists || !*exists) return;
    if (auto info = warehouse_.Describe(table)) out_.predictions_ever = info->rows;
  }

  warehouse::Warehouse& warehouse_;
  warehouse::Session& session_;
  const std::set<std::string>& tables_;
  const ModelReaderOptions& options_;
  ModelData& out_;
  std::map<int64_t, int> periods_;
};

// A table of another's making may end in _performance too.
bool LooksLikeOurs(warehouse::Warehouse& warehouse, const std::string& model, const std::set<std::string>& tables) {
  const std::vector<std::pair<std::string, std::string>> marks = {
      {"_performance", "model_version"}, {"_decisions", "decision"}, {"_retraining", "verdict"}, {"_drift", "feature"}};
  for (const auto& [suffix, column] : marks) {
    if (!tables.contains(Lower(model + suffix))) continue;
    auto info = warehouse.Describe({kSchema, model + suffix});
    if (!info) return true;  // shown with its problem
    for (const auto& each : info->columns) {
      if (EqualsIgnoreCase(each.name, column)) return true;
    }
  }
  return false;
}

}  // namespace

bool HasMonitoring(const fs::path& root) {
  std::error_code error;
  return fs::is_directory(root / kSchema, error);
}

std::string MonitoringState(const fs::path& root) {
  std::map<std::string, int64_t> seen;
  for (const char* schema : {kSchema, "predictions"}) {
    std::error_code error;
    for (fs::directory_iterator it(root / schema, error), end; !error && it != end; it.increment(error)) {
      std::error_code gone;
      auto changed = fs::last_write_time(it->path() / "_delta_log", gone);
      if (!gone)
        seen[std::string(schema) + "/" + it->path().filename().string()] =
            static_cast<int64_t>(changed.time_since_epoch().count());
    }
  }
  std::string out;
  for (const auto& [name, changed] : seen) out += fmt::format("{}={};", name, changed);
  return out;
}

Result<std::vector<ModelData>> ReadModels(warehouse::Warehouse& warehouse, const ModelReaderOptions& options) {
  std::set<std::string> tables;
  std::map<std::string, std::string> names;  // in lower case -> as written
  for (const auto& [name, table] : options.known) names.emplace(Lower(name), name);
  for (const auto& listed : QUERN_TRY(warehouse.List())) {
    if (!EqualsIgnoreCase(listed.name.schema, kSchema)) continue;
    tables.insert(Lower(listed.name.table));
  }
  for (const auto& table : tables) {
    auto model = ModelOf(table);
    if (model && !names.contains(*model) && LooksLikeOurs(warehouse, *model, tables)) names.emplace(*model, *model);
  }
  std::vector<ModelData> out;
  if (names.empty()) return out;
  auto session = QUERN_TRY(warehouse.NewSession());
  for (const auto& [lower, name] : names) {
    ModelData model;
    model.name = name;
    ModelReader(warehouse, *session, tables, options, model).Read();
    out.push_back(std::move(model));
  }
  return out;
}

}  // namespace quern::report
