// Training sets for tests and benchmarks that are no C++: reads one JSON request from stdin and prints one JSON answer.
//   {"root": warehouse, "sql": statements to run first, "models": text of ml/*.yml, "from", "to": the interval,
//    "zone", "do": "save" | "verify" | "digest", "record": of verify, "query": of digest, "threads", "memory_limit"}
#include <chrono>
#include <iostream>

#include "base/json.h"
#include "ml/dataset/training_set.h"

namespace {
using namespace quern;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<Json> Save(const Json& request, warehouse::Warehouse& house, warehouse::Session& session) {
  Diagnostics diagnostics;
  const auto models = ml::ParseModels(request.at("models").get<std::string>(), "ml/bench.yml", diagnostics);
  std::optional<ml::BoundDataset> bound;
  if (diagnostics.ok() && models.size() == 1) bound = ml::BindDataset(models[0], session, diagnostics);
  if (!diagnostics.ok()) return Fail(diagnostics.errors()[0]);
  if (!bound) return Fail(ErrorCode::kInvalidArgument, "one model whose tables are there is needed");
  const auto zone = QUERN_TRY(TimeZone::Find(request.value("zone", "UTC")));
  ml::SaveOptions options;
  options.query.zone = zone;
  options.query.interval = {QUERN_TRY(ParseTimestamp(request.at("from").get<std::string>(), zone)),
                            QUERN_TRY(ParseTimestamp(request.at("to").get<std::string>(), zone))};
  options.frame = {"all", std::nullopt, options.query.interval.start};
  options.training_set = "bench/" + request.at("from").get<std::string>() + "/all";
  options.effect_app = "quern/bench/dataset";
  options.effect_version = MillisSinceEpoch(options.query.interval.start);
  const auto start = std::chrono::steady_clock::now();
  auto set = QUERN_TRY(ml::SaveTrainingSet(models[0], *bound, options, house, session));
  Json answer = set.ToJson();
  answer["seconds"] = SecondsSince(start);
  return answer;
}

Result<Json> Answer(const Json& request) {
  warehouse::Options options;
  options.root = request.at("root").get<std::string>();
  options.threads = request.value("threads", 0);
  options.memory_limit = request.value("memory_limit", "");
  auto house = QUERN_TRY(warehouse::Warehouse::Open(options));
  auto session = QUERN_TRY(house->NewSession());
  if (request.contains("sql")) QUERN_TRY(session->Execute(request["sql"].get<std::string>()));
  const std::string what = request.value("do", "");
  if (what == "save") return Save(request, *house, *session);
  const auto start = std::chrono::steady_clock::now();
  if (what == "verify") {
    const auto set = QUERN_TRY(ml::TrainingSet::FromJson(request.at("record")));
    const auto verified = QUERN_TRY(ml::VerifyTrainingSet(set, *house, *session));
    return Json{{"equal", verified.equal}, {"rows", verified.rows}, {"seconds", SecondsSince(start)}};
  }
  if (what == "digest") {
    const auto digest = QUERN_TRY(ml::DigestOf(*session, request.at("query").get<std::string>()));
    return Json{{"digest", digest.Hex()}, {"rows", digest.rows}, {"seconds", SecondsSince(start)}};
  }
  return Json::object();
}

}  // namespace

int main() {
  const Json request = Json::parse(std::cin, nullptr, false);
  if (!request.is_object()) return 2;
  auto answer = Answer(request);
  std::cout << (answer ? *answer : Json{{"error", answer.error().ToString()}}).dump() << std::endl;
  return answer ? 0 : 1;
}
