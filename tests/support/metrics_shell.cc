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

Result<Json> Run(const Json& request) {
  auto database = QUERN_TRY(engine::DuckDatabase::Open(
      {.threads = request.value("threads", 0), .memory_limit = request.value("memory_limit", "")}));
  auto connection = QUERN_TRY(database->Connect());
  const auto what = request.value("do", "");
  if (what == "performance") return DoPerformance(*connection, request);
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
