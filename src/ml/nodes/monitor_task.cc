#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "ml/dataset/query.h"
#include "ml/dataset/training_set.h"
#include "ml/metrics/drift.h"
#include "ml/metrics/slices.h"
#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/tasks.h"
#include "warehouse/before_run.h"

namespace quern::ml {
namespace {

using schedule::TaskResult;

// Predictions of one model version about one period.
struct Judged {
  Interval period;
  int64_t version = 0;
  std::string run_id;
  int64_t rows = 0;
  int64_t labeled = 0;
};

class MonitorWork {
 public:
  MonitorWork(NodeWork& work, warehouse::Warehouse& warehouse) : work_(work), warehouse_(warehouse) {}

  Result<TaskResult> Run() {
    const auto& model = work_.model();
    const warehouse::TableName table{model.predict.table.schema, model.predict.table.table};
    auto version = QUERN_TRY(warehouse::VersionBeforeRun(warehouse_, table, work_.run().dag_run));
    if (!version) return NothingToDo("no predictions yet");
    session_ = QUERN_TRY(work_.Session({}));
    std::string why;
    bound_ = QUERN_TRY(work_.Bind(*session_, &why));
    if (!bound_) return NothingToDo(why);
    task_ = TaskOf(bound_->task);
    QUERN_TRY(MakeTables());
    QUERN_TRY(Gather(*version));
    if (judged_.empty()) return NothingToDo("no predictions about a period that has ended");
    QUERN_TRY(JudgePerformance());
    QUERN_TRY(Describe());
    return Result_(*version);
  }

 private:
  std::string PeriodSql(const std::string& prefix, const Judged& judged) const {
    return fmt::format("{0}period_start = {1} AND {0}period_end = {2} AND {0}model_version = {3}", prefix,
                       InstantSql(judged.period.start), InstantSql(judged.period.end), judged.version);
  }
  void SetPeriod(NewRows& rows, const Judged& judged) const {
    rows.Set("period_start", InstantSql(judged.period.start));
    rows.Set("period_end", InstantSql(judged.period.end));
    rows.Set("model_version", Sql(judged.version));
    rows.Set("dag_run", Sql(work_.run().dag_run));
    rows.Set("_quern_computed_at", InstantSql(work_.run().clock->Now()));
  }
  std::vector<std::string> KeyNames() const {
    std::vector<std::string> out;
    for (const auto& key : bound_->key) out.push_back(key.name);
    // Key and time together tell one row from another.
    const auto& time = bound_->time.name;
    if (std::none_of(out.begin(), out.end(), [&](const auto& name) { return EqualsIgnoreCase(name, time); }))
      out.push_back(time);
    return out;
  }
  std::vector<std::string> SliceNames() const {
    std::vector<std::string> out;
    for (const auto& slice : work_.model().monitor.slices) out.push_back(slice.name);
    return out;
  }
  std::string KeysEqual(const std::string& left, const std::string& right) const {
    std::vector<std::string> parts;
    for (const auto& name : KeyNames())
      parts.push_back(fmt::format("{}.{} = {}.{}", left, QuoteIdentifier(name), right, QuoteIdentifier(name)));
    return Join(parts, " AND ");
  }

  Result<void> MakeTables() {
    const auto& model = work_.model();
    const auto context = work_.CommitContext();
    QUERN_TRY(EnsureTable(warehouse_, PerformanceTable(model), PerformanceColumns(task_), context));
    QUERN_TRY(EnsureTable(warehouse_, PredictionsTable(model), PredictionsColumns(), context));
    QUERN_TRY(EnsureTable(warehouse_, ProfileTable(model), ProfileColumns(), context));
    QUERN_TRY(EnsureTable(warehouse_, DriftTable(model), DriftColumns(), context));
    return {};
  }

  // Predictions as they stood before this run, with their labels as far as these are known, in a temporary table.
  Result<void> Gather(int64_t version) {
    const auto& model = work_.model();
    const auto& run = work_.run();
    const Timestamp since = Subtract(run.interval.start, model.monitor.labels_within, run.zone);
    QueryOptions query{.interval = run.interval, .zone = run.zone, .ordered = false};
    const TimeFrame frame{"labels", since, run.interval.end};
    query.rows = Rows::kLabeled;
    const std::string labels = DatasetQuery(model, *bound_, frame, query);
    query.rows = Rows::kAll;
    const std::string rows = DatasetQuery(model, *bound_, frame, query);
    const bool slices = !model.monitor.slices.empty();
    std::string columns = fmt::format("p.*, l.{} AS __label", QuoteIdentifier(bound_->label.name));
    const auto keys = KeyNames(), names = SliceNames(), as = SliceColumns(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      const bool key =
          std::any_of(keys.begin(), keys.end(), [&](const auto& k) { return EqualsIgnoreCase(k, names[i]); });
      columns += fmt::format(", {}.{} AS {}", key ? "p" : "a", QuoteIdentifier(names[i]), as[i]);
    }
    QUERN_TRY(session_->Execute(fmt::format(
        "CREATE OR REPLACE TEMP TABLE quern_judged AS SELECT {} FROM (SELECT * FROM {} AT (VERSION => {}) WHERE "
        "period_end <= {} AND period_start >= {}) AS p LEFT JOIN ({}) AS l ON {} {}",
        columns, QuoteTable(model.predict.table), version, InstantSql(run.interval.end), InstantSql(since), labels,
        KeysEqual("p", "l"), slices ? fmt::format("LEFT JOIN ({}) AS a ON {}", rows, KeysEqual("p", "a")) : "")));
    auto found = QUERN_TRY(session_->Execute(
        "SELECT epoch_us(period_start), epoch_us(period_end), model_version, any_value(run_id), count(*), "
        "count(__label) FROM temp.quern_judged GROUP BY ALL ORDER BY 1, 2, 3"));
    for (const auto& row : found.rows) {
      judged_.push_back({{FromMicros(std::get<int64_t>(row[0])), FromMicros(std::get<int64_t>(row[1]))},
                         std::get<int64_t>(row[2]),
                         engine::ToText(row[3]),
                         std::get<int64_t>(row[4]),
                         std::get<int64_t>(row[5])});
    }
    return {};
  }

  Result<std::optional<ModelInUse>> OpenVersion(int64_t version) {
    if (auto it = versions_.find(version); it != versions_.end()) return std::optional<ModelInUse>(it->second);
    tracking::Store* store = QUERN_TRY(work_.tracking());
    auto found = QUERN_TRY(store->FindVersion(work_.model().name, version));
    if (!found) return std::nullopt;
    auto opened = QUERN_TRY(work_.Open(*found));
    versions_[version] = opened;
    return std::optional<ModelInUse>(opened);
  }

  // Performance of every period whose labels are more than when it was last judged.
  Result<void> JudgePerformance() {
    const auto& model = work_.model();
    const auto table = PerformanceTable(model);
    if (QUERN_TRY(work_.IsDone(table))) return {};
    auto known = QUERN_TRY(session_->Execute(fmt::format(
        "SELECT epoch_us(period_start), epoch_us(period_end), model_version, labeled, rows FROM {} WHERE slice = ''",
        QuoteTable(table))));
    std::map<std::array<int64_t, 3>, std::pair<int64_t, int64_t>> before;
    for (const auto& row : known.rows) {
      before[{std::get<int64_t>(row[0]), std::get<int64_t>(row[1]), std::get<int64_t>(row[2])}] = {
          std::get<int64_t>(row[3]), std::get<int64_t>(row[4])};
    }
    NewRows rows(PerformanceColumns(task_));
    std::vector<std::string> replaced;
    for (const auto& judged : judged_) {
      if (judged.labeled == 0) continue;
      auto it =
          before.find({MicrosSinceEpoch(judged.period.start), MicrosSinceEpoch(judged.period.end), judged.version});
      if (it != before.end() && it->second == std::pair{judged.labeled, judged.rows}) continue;
      if (it != before.end()) replaced.push_back("(" + PeriodSql("", judged) + ")");
      auto figures = QUERN_TRY(EvaluatePeriod(judged));
      for (const auto& performance : figures) {
        rows.Begin();
        SetPeriod(rows, judged);
        rows.Set("slice", Sql(performance.Slice()));
        rows.Set("rows", Sql(performance.rows));
        rows.Set("labeled", Sql(performance.labeled));
        if (task_ == Task::kBinary) {
          rows.Set("positive_share", Sql(performance.positive_share));
          Json bins = Json::array();
          for (const auto& bin : performance.calibration) {
            if (!bin.mean_score) continue;
            bins.push_back({{"lower", bin.lower},
                            {"upper", bin.upper},
                            {"rows", bin.rows},
                            {"mean_score", *bin.mean_score},
                            {"positive_share", bin.positive_share ? Json(*bin.positive_share) : Json()}});
          }
          rows.Set("calibration", SqlOf(bins));
        }
        if (task_ == Task::kMulticlass) rows.Set("confusion", SqlOf(performance.confusion));
        for (const auto& [name, value] : performance.metrics) rows.Set(name, Sql(value));
        for (const auto& [name, value] : performance.dummy) rows.Set("dummy_" + name, Sql(value));
      }
    }
    std::string remove;
    if (!replaced.empty()) remove = fmt::format("DELETE FROM {} WHERE {}", QuoteTable(table), Join(replaced, " OR "));
    auto session = QUERN_TRY(work_.Session({table}));
    QUERN_TRY(WriteRows(*session, table, remove, rows));
    judged_periods_ = rows.size();
    return {};
  }

  Result<std::vector<Performance>> EvaluatePeriod(const Judged& judged) {
    PerformanceSpec spec;
    spec.task = task_;
    spec.label = "__label";
    if (task_ != Task::kBinary) spec.score = "";
    if (task_ == Task::kMulticlass) spec.probabilities = "probabilities";
    spec.slices = SliceColumns(SliceNames().size());
    if (auto version = QUERN_TRY(OpenVersion(judged.version))) {
      if (version->training.is_object() && version->training.contains("dummy"))
        spec.dummy = DummyFromJson(version->training["dummy"]);
      spec.classes = QUERN_TRY(work_.Like(*session_, *version, *bound_)).classes;
      if (task_ == Task::kBinary && spec.classes.size() == 2) spec.positive = spec.classes[1];
    }
    auto figures = QUERN_TRY(
        Evaluate(*session_, fmt::format("SELECT * FROM temp.quern_judged WHERE {}", PeriodSql("", judged)), spec));
    return WithSliceNames(std::move(figures), SliceNames());
  }

  // Predictions, features and drift of each period that has not been described yet.
  Result<void> Describe() {
    const auto& model = work_.model();
    const auto predictions = PredictionsTable(model), profile = ProfileTable(model), drift = DriftTable(model);
    const bool predictions_done = QUERN_TRY(work_.IsDone(predictions));
    const bool profile_done = QUERN_TRY(work_.IsDone(profile));
    const bool drift_done = QUERN_TRY(work_.IsDone(drift));
    if (predictions_done && profile_done && drift_done) return {};
    NewRows prediction_rows(PredictionsColumns()), profile_rows(ProfileColumns()), drift_rows(DriftColumns());
    for (const auto& judged : judged_) {
      // Each table by itself: a killed run has perhaps written one and not the next.
      const bool with_predictions = !predictions_done && !QUERN_TRY(IsThere(predictions, judged));
      const bool with_profile = !profile_done && !QUERN_TRY(IsThere(profile, judged));
      const bool with_drift = !drift_done && !QUERN_TRY(IsThere(drift, judged));
      if (with_predictions) QUERN_TRY(DescribePredictionsOf(judged, prediction_rows));
      if (with_profile || with_drift) {
        QUERN_TRY(CompareFeatures(judged, with_profile ? &profile_rows : nullptr, with_drift ? &drift_rows : nullptr));
      }
    }
    auto write = [&](const schedule::TableRef& table, bool done, const NewRows& rows) -> Result<void> {
      if (done) return {};
      auto session = QUERN_TRY(work_.Session({table}));
      return WriteRows(*session, table, "", rows);
    };
    QUERN_TRY(write(predictions, predictions_done, prediction_rows));
    QUERN_TRY(write(profile, profile_done, profile_rows));
    QUERN_TRY(write(drift, drift_done, drift_rows));
    return {};
  }

  Result<bool> IsThere(const schedule::TableRef& table, const Judged& judged) {
    auto found = QUERN_TRY(
        session_->Execute(fmt::format("SELECT count(*) FROM {} WHERE {}", QuoteTable(table), PeriodSql("", judged))));
    return std::get<int64_t>(found.rows[0][0]) > 0;
  }

  Result<void> DescribePredictionsOf(const Judged& judged, NewRows& rows) {
    PredictionSpec spec;
    spec.task = task_;
    if (task_ == Task::kRegression) spec.score = "";
    spec.slices = SliceColumns(SliceNames().size());
    auto described = QUERN_TRY(DescribePredictions(
        *session_, fmt::format("SELECT * FROM temp.quern_judged WHERE {}", PeriodSql("", judged)), spec));
    const auto all = WithSliceNames(std::move(described), SliceNames());
    for (const auto& one : all) {
      rows.Begin();
      SetPeriod(rows, judged);
      rows.Set("slice", Sql(one.Slice()));
      rows.Set("rows", Sql(one.rows));
      rows.Set("mean", Sql(one.mean));
      rows.Set("variance", Sql(one.variance));
      rows.Set("min", Sql(one.min));
      rows.Set("max", Sql(one.max));
      if (one.quantiles) SetQuantiles(rows, *one.quantiles);
      if (task_ != Task::kRegression) rows.Set("class_shares", SqlOf(one.class_shares));
      if (one.confidence)
        rows.Set("confidence", SqlOf({{"edges", one.confidence->edges}, {"counts", one.confidence->counts}}));
    }
    return {};
  }

  static void SetQuantiles(NewRows& rows, const Quantiles& quantiles) {
    rows.Set("p05", Sql(std::optional(quantiles.p05)));
    rows.Set("p25", Sql(std::optional(quantiles.p25)));
    rows.Set("p50", Sql(std::optional(quantiles.p50)));
    rows.Set("p75", Sql(std::optional(quantiles.p75)));
    rows.Set("p95", Sql(std::optional(quantiles.p95)));
  }

  // The features of the rows that were predicted, beside those that the model was trained on.
  Result<void> CompareFeatures(const Judged& judged, NewRows* profiles, NewRows* drifts) {
    const auto& model = work_.model();
    const auto& run = work_.run();
    auto version = QUERN_TRY(OpenVersion(judged.version));
    std::vector<FeatureColumn> features;
    std::set<std::string> of_reference;
    std::optional<TrainingSet> trained;
    if (version && version->training.is_object() && version->training.contains("training_set")) {
      trained = QUERN_TRY(TrainingSet::FromJson(version->training["training_set"]));
      for (const auto& feature : trained->features) of_reference.insert(Lower(feature.name));
    }
    std::vector<std::string> names;
    for (const auto& feature : bound_->features) {
      names.push_back(feature.name);
      features.push_back(
          {feature.name, feature.kind == FeatureKind::kNumber ? ColumnKind::kNumeric : ColumnKind::kCategory});
    }
    QueryOptions query{.rows = Rows::kAll, .interval = run.interval, .zone = run.zone, .ordered = false};
    const TimeFrame frame{"period", judged.period.start, judged.period.end};
    const std::string value = task_ == Task::kRegression ? "prediction" : "score";
    const std::string p = fmt::format("(SELECT * FROM temp.quern_judged WHERE {}) AS p", PeriodSql("", judged));
    QUERN_TRY(session_->Execute(fmt::format(
        "CREATE OR REPLACE TEMP TABLE quern_current AS SELECT {}, CAST(p.{} AS DOUBLE) AS __prediction FROM "
        "({}) AS a JOIN {} ON {}",
        Qualified("a", names), value, DatasetQuery(model, *bound_, frame, query), p, KeysEqual("a", "p"))));
    const std::string current = "SELECT * FROM temp.quern_current";
    auto compared = features;
    compared.push_back({"__prediction", ColumnKind::kNumeric});
    DriftReport report;
    if (drifts && trained) {
      QUERN_TRY(MakeReference(*version, *trained, value));
      DriftOptions options;
      const auto& drift = model.monitor.drift;
      if (!drift.default_only) {
        if (drift.all_methods) {
          for (const auto& method : DriftMethods()) options.methods.push_back(method.name);
        } else {
          options.methods = drift.methods;
        }
      }
      options.thresholds = drift.thresholds;
      options.profile = profiles != nullptr;
      report = QUERN_TRY(ComputeDrift(*session_, "SELECT * FROM temp.quern_reference", current, compared, options));
      QUERN_TRY(session_->Execute("DROP TABLE temp.quern_reference"));
    } else if (drifts) {
      work_.Log(fmt::format("version {} of {} was not trained here: its features have nothing to be compared with",
                            judged.version, model.name));
    }
    if (profiles && report.current.empty()) report.current = QUERN_TRY(ProfileFeatures(*session_, current, features));
    if (drifts) {
      for (const auto& one : report.results) {
        drifts->Begin();
        SetPeriod(*drifts, judged);
        drifts->Set("feature", Sql(one.feature == "__prediction" ? std::string("prediction") : one.feature));
        drifts->Set("method", Sql(one.method));
        drifts->Set("value", Sql(one.value));
        drifts->Set("threshold", Sql(std::optional(one.threshold)));
        drifts->Set("drifted", Sql(one.drifted));
        drifts->Set("is_default", Sql(one.is_default));
        drifts->Set("reference_rows", Sql(one.reference_rows));
        drifts->Set("current_rows", Sql(one.current_rows));
        if (!one.note.empty()) drifts->Set("note", Sql(one.note));
      }
    }
    if (profiles) {
      for (const auto& one : report.current) {
        if (one.name == "__prediction") continue;
        profiles->Begin();
        SetPeriod(*profiles, judged);
        SetProfile(*profiles, one);
      }
    }
    QUERN_TRY(session_->Execute("DROP TABLE temp.quern_current"));
    return {};
  }

  static std::string Qualified(const std::string& alias, const std::vector<std::string>& names) {
    std::vector<std::string> out;
    for (const auto& name : names) out.push_back(alias + "." + QuoteIdentifier(name));
    return Join(out, ", ");
  }

  Result<void> MakeReference(const ModelInUse& version, const TrainingSet& trained, const std::string& value) {
    auto scorer = QUERN_TRY(Scorer::Open(
        *session_, version.folder, fmt::format("{}_v{}", work_.model().name, version.version.version), work_.options(),
        work_.model(), QUERN_TRY(work_.Like(*session_, version, *bound_)), &work_.task()));
    // Features pass the model under names of our own: one may be called score, as what the model gives is.
    std::vector<std::string> kept;
    std::string passed, named;
    for (const auto& feature : trained.features) {
      kept.push_back(fmt::format("__feature{}", kept.size()));
      passed += fmt::format(", {} AS {}", QuoteIdentifier(feature.name), kept.back());
      named += fmt::format("{} AS {}, ", kept.back(), QuoteIdentifier(feature.name));
    }
    auto scored = QUERN_TRY(scorer.Predictions(fmt::format("SELECT *{} FROM ({})", passed, trained.ReadSql()), kept));
    QUERN_TRY(session_->Execute(fmt::format(
        "CREATE OR REPLACE TEMP TABLE quern_reference AS SELECT {}CAST({} AS DOUBLE) AS __prediction FROM ({})", named,
        value, scored)));
    return {};
  }

  static void SetProfile(NewRows& rows, const FeatureProfile& one) {
    rows.Set("feature", Sql(one.name));
    rows.Set("type", Sql(one.type));
    rows.Set("rows", Sql(one.rows));
    rows.Set("nulls", Sql(one.nulls));
    rows.Set("null_rate", Sql(std::optional(one.null_rate)));
    rows.Set("cardinality", Sql(one.cardinality));
    rows.Set("mean", Sql(one.mean));
    rows.Set("stddev", Sql(one.stddev));
    rows.Set("min", Sql(one.min));
    rows.Set("max", Sql(one.max));
    if (one.quantiles) SetQuantiles(rows, *one.quantiles);
    if (one.histogram) {
      rows.Set("histogram", SqlOf({{"edges", one.histogram->edges}, {"counts", one.histogram->counts}}));
    } else if (!one.top.empty()) {
      Json top = Json::array();
      for (const auto& [value, count] : one.top) top.push_back({{"value", value}, {"count", count}});
      rows.Set("histogram", SqlOf(top));
    }
  }

  // What the nodes after this one read: the newest period with labels, and the newest described one.
  Result<TaskResult> Result_(int64_t predictions_version) {
    const auto& model = work_.model();
    TaskResult result;
    result.details["versions"][QuoteTable(model.predict.table)] = predictions_version;
    const Judged* judged = nullptr;
    for (const auto& one : judged_) {
      if (one.labeled > 0) judged = &one;
    }
    Json values = Json::object();
    if (judged) {
      std::vector<std::string> names;
      for (const auto& metric : MetricsOf(task_)) names.push_back(metric.name);
      auto query = fmt::format("SELECT * FROM {} WHERE slice = '' AND {}", QuoteTable(PerformanceTable(model)),
                               PeriodSql("", *judged));
      auto row = QUERN_TRY(session_->Execute(query));
      if (!row.rows.empty()) {
        for (size_t i = 0; i < row.columns.size(); ++i) {
          const auto& name = row.columns[i].name;
          const auto* number = std::get_if<double>(&row.rows[0][i]);
          if (!number) continue;
          if (name == "positive_share") {
            values[name] = *number;
          } else if (name.starts_with("dummy_")) {
            values["dummy"][name.substr(6)] = *number;
          } else if (std::find(names.begin(), names.end(), name) != names.end()) {
            values["metrics"][name] = *number;
          }
        }
        values["rows"] = judged->rows;
        values["labeled"] = judged->labeled;
        values["model_version"] = judged->version;
        values["period_start"] = FormatUtc(judged->period.start);
        values["period_end"] = FormatUtc(judged->period.end);
      }
    }
    const Judged& newest = judged_.back();
    auto drift =
        QUERN_TRY(session_->Execute(fmt::format("SELECT feature, value, drifted FROM {} WHERE is_default AND {}",
                                                QuoteTable(DriftTable(model)), PeriodSql("", newest))));
    int64_t features = 0, drifted = 0;
    for (const auto& row : drift.rows) {
      const auto name = engine::ToText(row[0]);
      if (const auto* number = std::get_if<double>(&row[1])) values["drift"]["features"][name] = *number;
      if (name == "prediction") continue;
      ++features;
      if (const auto* flag = std::get_if<bool>(&row[2]); flag && *flag) ++drifted;
    }
    if (features > 0) {
      values["drift"]["share"] = static_cast<double>(drifted) / static_cast<double>(features);
      values["drift"]["count"] = drifted;
      values["drift"]["of"] = features;
    }
    auto mean = QUERN_TRY(session_->Execute(fmt::format("SELECT mean FROM {} WHERE slice = '' AND {}",
                                                        QuoteTable(PredictionsTable(model)), PeriodSql("", newest))));
    if (!mean.rows.empty()) {
      if (const auto* number = std::get_if<double>(&mean.rows[0][0])) values["predictions"]["mean"] = *number;
    }
    if (!values.contains("model_version")) values["model_version"] = newest.version;

    const auto metric = model.promote.metric.empty() ? DefaultMetric(bound_->task) : model.promote.metric;
    std::vector<std::string> parts;
    if (judged && values.contains("metrics") && values["metrics"].contains(metric)) {
      parts.push_back(fmt::format("{} {:.4f}", metric, values["metrics"][metric].get<double>()));
      parts.push_back(fmt::format("{} of {} labeled", FormatCount(judged->labeled), FormatCount(judged->rows)));
    } else {
      parts.push_back(fmt::format("{} predictions, no labels yet", FormatCount(newest.rows)));
    }
    if (features > 0) parts.push_back(fmt::format("{} of {} features drifted", drifted, features));
    if (features > 0 && values["drift"]["share"].get<double>() >= model.monitor.drift.share)
      parts.back() += ": the data drifted";
    result.message = Join(parts, ", ");
    result.rows = static_cast<int64_t>(judged_periods_);
    result.values = std::move(values);
    return result;
  }

  NodeWork& work_;
  warehouse::Warehouse& warehouse_;
  std::unique_ptr<warehouse::Session> session_;
  std::optional<BoundDataset> bound_;
  Task task_ = Task::kBinary;
  std::vector<Judged> judged_;
  std::map<int64_t, ModelInUse> versions_;
  size_t judged_periods_ = 0;
};

}  // namespace

Result<std::string> MonitorOutlook(NodeWork& work) {
  const auto& model = work.model();
  const auto& table = model.predict.table;
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  if (!QUERN_TRY(house->Exists({table.schema, table.table}))) return std::string("no predictions yet");
  auto session = QUERN_TRY(house->NewSession());
  auto found = QUERN_TRY(session->Execute(
      fmt::format("SELECT model_version, count(*) FROM {} WHERE period_start = {} GROUP BY 1 ORDER BY 1",
                  QuoteTable(table), InstantSql(work.run().interval.start))));
  if (found.rows.empty()) return std::string("no predictions about this interval");
  std::vector<std::string> parts;
  for (const auto& row : found.rows)
    parts.push_back(fmt::format("version {} by its {} predictions", engine::ToText(row[0]),
                                FormatCount(std::get<int64_t>(row[1]))));
  return "would judge " + Join(parts, ", ");
}

Result<TaskResult> Monitor(NodeWork& work) {
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  return MonitorWork(work, *house).Run();
}

}  // namespace quern::ml
