// Monitoring's figures of Parquet files, for tests and benchmarks that are no C++: reads one JSON request from stdin,
// {"do": "performance" | "predictions" | "profile" | "drift", "relation"/"reference"/"current": SQL, ...}, and prints
// one JSON answer. "memory_limit" and "threads" are the engine's.
#include <iostream>

#include "base/json.h"
#include "engine/duckdb/database.h"
#include "ml/metrics/drift.h"
#include "ml/metrics/performance.h"
#include "ml/metrics/profile.h"

namespace {
using namespace quern;

template <class T>
Json Optional(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json Values(const ml::MetricValues& values) {
  Json out = Json::object();
  for (const auto& [name, value] : values) out[name] = Optional(value);
  return out;
}

ml::Task TaskOf(const Json& request) {
  const auto task = request.value("task", "binary");
  return task == "binary" ? ml::Task::kBinary : task == "multiclass" ? ml::Task::kMulticlass : ml::Task::kRegression;
}

Result<Json> DoPerformance(engine::Connection& connection, const Json& request) {
  ml::PerformanceSpec spec{.task = TaskOf(request)};
  spec.positive = request.value("positive", spec.positive);
  spec.score = request.value("score", spec.score);
  spec.probabilities = request.value("probabilities", "");
  spec.classes = request.value("classes", std::vector<std::string>{});
  spec.slices = request.value("slices", std::vector<std::string>{});
  if (request.contains("dummy")) {
    const auto& dummy = request["dummy"];
    spec.dummy = ml::DummyModel{.positive_share = dummy.value("positive_share", 0.0),
                                .class_shares = dummy.value("class_shares", std::map<std::string, double>{}),
                                .mean = dummy.value("mean", 0.0)};
  }
  auto result = QUERN_TRY(ml::Evaluate(connection, request["relation"].get<std::string>(), spec));
  Json out = Json::array();
  for (const auto& one : result) {
    Json bins = Json::array();
    for (const auto& bin : one.calibration) {
      bins.push_back({bin.lower, bin.upper, bin.rows, Optional(bin.mean_score), Optional(bin.positive_share)});
    }
    out.push_back({{"slice", one.Slice()},
                   {"rows", one.rows},
                   {"labeled", one.labeled},
                   {"positive_share", Optional(one.positive_share)},
                   {"metrics", Values(one.metrics)},
                   {"dummy", Values(one.dummy)},
                   {"confusion", one.confusion},
                   {"calibration", bins}});
  }
  return out;
}

Json QuantilesOf(const std::optional<ml::Quantiles>& q) {
  return q ? Json{q->p05, q->p25, q->p50, q->p75, q->p95} : Json(nullptr);
}

Json HistogramOf(const std::optional<ml::Histogram>& histogram) {
  return histogram ? Json{{"edges", histogram->edges}, {"counts", histogram->counts}} : Json(nullptr);
}

Result<Json> DoPredictions(engine::Connection& connection, const Json& request) {
  ml::PredictionSpec spec{.task = TaskOf(request)};
  spec.slices = request.value("slices", std::vector<std::string>{});
  spec.score = request.value("score", spec.score);
  auto result = QUERN_TRY(ml::DescribePredictions(connection, request["relation"].get<std::string>(), spec));
  Json out = Json::array();
  for (const auto& one : result) {
    out.push_back({{"slice", one.Slice()},
                   {"rows", one.rows},
                   {"mean", Optional(one.mean)},
                   {"variance", Optional(one.variance)},
                   {"min", Optional(one.min)},
                   {"max", Optional(one.max)},
                   {"quantiles", QuantilesOf(one.quantiles)},
                   {"class_shares", one.class_shares},
                   {"confidence", HistogramOf(one.confidence)}});
  }
  return out;
}

Json ProfilesOf(const std::vector<ml::FeatureProfile>& profiles) {
  Json out = Json::array();
  for (const auto& one : profiles) {
    out.push_back({{"name", one.name},
                   {"type", one.type},
                   {"rows", one.rows},
                   {"nulls", one.nulls},
                   {"cardinality", one.cardinality},
                   {"null_rate", one.null_rate},
                   {"mean", Optional(one.mean)},
                   {"stddev", Optional(one.stddev)},
                   {"min", Optional(one.min)},
                   {"max", Optional(one.max)},
                   {"quantiles", QuantilesOf(one.quantiles)},
                   {"histogram", HistogramOf(one.histogram)},
                   {"top", one.top}});
  }
  return out;
}

// "features": [[name, "numeric" or "category"], ...].
std::vector<ml::FeatureColumn> FeaturesOf(const Json& request) {
  std::vector<ml::FeatureColumn> out;
  for (const auto& feature : request["features"]) {
    out.push_back({.name = feature[0].get<std::string>(),
                   .kind = feature[1] == "numeric" ? ml::ColumnKind::kNumeric : ml::ColumnKind::kCategory});
  }
  return out;
}

ml::ColumnOptions ColumnsOf(const Json& request) {
  ml::ColumnOptions out;
  out.memory_bytes = request.value("memory_bytes", out.memory_bytes);
  out.threads = request.value("threads", out.threads);
  return out;
}

Result<Json> DoProfile(engine::Connection& connection, const Json& request) {
  return ProfilesOf(QUERN_TRY(ml::ProfileFeatures(connection, request["relation"].get<std::string>(),
                                                  FeaturesOf(request), ColumnsOf(request))));
}

Result<Json> DoDrift(engine::Connection& connection, const Json& request) {
  ml::DriftOptions options;
  options.methods = request.value("methods", std::vector<std::string>{});
  options.thresholds = request.value("thresholds", std::map<std::string, double>{});
  options.profile = request.value("profile", false);
  options.columns = ColumnsOf(request);
  auto report = QUERN_TRY(ml::ComputeDrift(connection, request["reference"].get<std::string>(),
                                           request["current"].get<std::string>(), FeaturesOf(request), options));
  Json results = Json::array();
  for (const auto& one : report.results) {
    results.push_back({{"feature", one.feature},
                       {"method", one.method},
                       {"value", Optional(one.value)},
                       {"threshold", one.threshold},
                       {"drifted", one.drifted},
                       {"is_default", one.is_default},
                       {"reference_rows", one.reference_rows},
                       {"current_rows", one.current_rows},
                       {"note", one.note}});
  }
  return Json{{"results", results},
              {"share", Optional(ml::DriftShare(report.results))},
              {"current", ProfilesOf(report.current)}};
}

Result<Json> Run(const Json& request) {
  auto database = QUERN_TRY(engine::DuckDatabase::Open(
      {.threads = request.value("threads", 0), .memory_limit = request.value("memory_limit", "")}));
  auto connection = QUERN_TRY(database->Connect());
  const auto what = request.value("do", "");
  if (what == "performance") return DoPerformance(*connection, request);
  if (what == "predictions") return DoPredictions(*connection, request);
  if (what == "profile") return DoProfile(*connection, request);
  if (what == "drift") return DoDrift(*connection, request);
  return Fail(ErrorCode::kInvalidArgument, "unknown request '" + what + "'");
}
}  // namespace

int main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto request = ParseJson(text, "request");
  const auto answer = request ? Run(*request) : Result<Json>(Fail(request.error()));
  if (!answer) {
    std::cout << Json{{"error", answer.error().ToString()}} << "\n";
    return 1;
  }
  std::cout << answer->dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
  return 0;
}
