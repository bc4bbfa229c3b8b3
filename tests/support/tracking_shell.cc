// A tracking database driven by JSON on stdin, one command a line, for tests that are no C++:
// tracking_shell DATABASE ARTIFACT_ROOT. Answers: one JSON line per command, its result or {"error"}.
#include <iostream>

#include "base/json.h"
#include "tracking/artifacts.h"
#include "tracking/store.h"

namespace quern::tracking {
namespace {

Json ToJson(const Metric& metric) {
  return {{"key", metric.key}, {"value", metric.value}, {"step", metric.step}, {"timestamp", metric.timestamp_ms}};
}

Json ToJson(const Run& run) {
  Json out = {{"run_id", run.run_id},
              {"experiment_id", run.experiment_id},
              {"name", run.name},
              {"status", run.status},
              {"start", run.start ? Json(MillisSinceEpoch(*run.start)) : Json()},
              {"end", run.end ? Json(MillisSinceEpoch(*run.end)) : Json()},
              {"artifact_uri", run.artifact_uri},
              {"params", run.params},
              {"tags", run.tags},
              {"metrics", Json::object()},
              {"datasets", Json::array()},
              {"model_id", run.model_id ? Json(*run.model_id) : Json()},
              {"active", run.active}};
  for (const auto& [key, metric] : run.metrics) out["metrics"][key] = ToJson(metric);
  for (const auto& input : run.datasets) {
    out["datasets"].push_back({{"name", input.name},
                               {"digest", input.digest},
                               {"source_type", input.source_type},
                               {"source", input.source},
                               {"schema", input.schema},
                               {"profile", input.profile},
                               {"context", input.context},
                               {"tags", input.tags}});
  }
  return out;
}

Json ToJson(const ModelVersion& version) {
  return {{"model", version.model},
          {"version", version.version},
          {"source", version.source},
          {"storage_location", version.storage_location},
          {"run_id", version.run_id},
          {"status", version.status},
          {"tags", version.tags},
          {"aliases", version.aliases},
          {"description", version.description}};
}

Json ToJson(const Promotion& promotion) {
  return {{"version", promotion.version},
          {"made", promotion.made},
          {"former", promotion.former ? Json(*promotion.former) : Json()}};
}

template <class T>
Json ToJson(const std::optional<T>& value) {
  return value ? ToJson(*value) : Json();
}

template <class T>
Json ToJson(const std::vector<T>& values) {
  Json out = Json::array();
  for (const auto& value : values) out.push_back(ToJson(value));
  return out;
}

Values ValuesAt(const Json& json, const char* key) {
  return json.value(key, Json::object()).get<Values>();
}

std::vector<Metric> MetricsAt(const Json& json) {
  std::vector<Metric> metrics;
  for (const auto& item : json.value("metrics", Json::array())) {
    metrics.push_back({.key = item.at(0).get<std::string>(),
                       .value = item.at(1).is_null() ? std::nan("") : item.at(1).get<double>(),
                       .step = item.size() > 2 ? item.at(2).get<int64_t>() : 0,
                       .timestamp_ms = item.size() > 3 ? item.at(3).get<int64_t>() : 0});
  }
  return metrics;
}

NewVersion VersionAt(const Json& json) {
  return {.model = json.at("model").get<std::string>(),
          .run_id = json.at("run_id").get<std::string>(),
          .effect = json.at("effect").get<std::string>(),
          .description = json.value("description", ""),
          .tags = ValuesAt(json, "tags"),
          .source = json.value("source", "")};
}

/// {"do": "record", "run_id", "experiment", "name", ..., "files": {path: text}, "model": {"name", "artifact_path"}}
Result<Json> Record(Store& store, const Json& json) {
  const auto experiment = QUERN_TRY(store.GetOrCreateExperiment(json.at("experiment").get<std::string>()));
  NewRun run;
  run.run_id = json.at("run_id").get<std::string>();
  run.experiment_id = experiment.id;
  run.name = json.value("name", "");
  if (json.value("status", "FINISHED") == "FAILED") run.status = RunStatus::kFailed;
  run.start = FromMicros(json.value("start", int64_t{0}) * 1000);
  run.end = FromMicros(json.value("end", int64_t{0}) * 1000);
  run.params = ValuesAt(json, "params");
  run.tags = ValuesAt(json, "tags");
  run.metrics = MetricsAt(json);
  run.user = json.value("user", "");
  if (json.contains("parent")) run.parent_run_id = json.at("parent").get<std::string>();
  for (const auto& item : json.value("datasets", Json::array())) {
    run.datasets.push_back({.name = item.at("name").get<std::string>(),
                            .digest = item.at("digest").get<std::string>(),
                            .source_type = item.value("source_type", "delta"),
                            .source = item.value("source", "{}"),
                            .schema = item.value("schema", ""),
                            .profile = item.value("profile", ""),
                            .context = item.value("context", ""),
                            .tags = ValuesAt(item, "tags")});
  }
  if (json.contains("model")) {
    const Json& model = json.at("model");
    run.model = RunModel{.name = model.at("name").get<std::string>(),
                         .artifact_path = model.value("artifact_path", "model"),
                         .model_type = model.value("model_type", ""),
                         .tags = ValuesAt(model, "tags")};
  }
  const auto folder = store.RunFolder(experiment.id, run.run_id);
  if (json.contains("files")) {
    auto prepared = QUERN_TRY(PrepareArtifacts(folder));
    for (const auto& [path, text] : json.at("files").items()) {
      QUERN_TRY(io::WriteFileAtomically(prepared.path() / path, text.get<std::string>()));
    }
    QUERN_TRY(PublishArtifacts(std::move(prepared), folder));
  }
  QUERN_TRY(store.RecordRun(run));
  return Json{{"experiment_id", experiment.id}, {"folder", folder.string()}};
}

Result<Json> Answer(Store& store, const Json& json) {
  const auto text = [&](const char* key) { return json.at(key).get<std::string>(); };
  const std::string command = text("do");
  if (command == "record") return Record(store, json);
  if (command == "run") return ToJson(QUERN_TRY(store.FindRun(text("run_id"))));
  if (command == "runs" || command == "best") {
    RunFilter filter;
    filter.tags = ValuesAt(json, "tags");
    filter.limit = json.value("limit", size_t{0});
    if (json.contains("experiment")) {
      const auto experiment = QUERN_TRY(store.FindExperiment(text("experiment")));
      filter.experiment_id = experiment ? experiment->id : -1;
    }
    if (json.contains("parent")) filter.parent_run_id = text("parent");
    if (command == "runs") return ToJson(QUERN_TRY(store.ListRuns(filter)));
    return ToJson(QUERN_TRY(store.BestRun(filter, text("metric"), json.value("larger", true))));
  }
  if (command == "history") return ToJson(QUERN_TRY(store.MetricHistory(text("run_id"), text("key"))));
  if (command == "set_tag") {
    QUERN_TRY(store.SetTag(text("run_id"), text("key"), text("value")));
    return Json();
  }
  if (command == "log_metrics") {
    QUERN_TRY(store.LogMetrics(text("run_id"), MetricsAt(json)));
    return Json();
  }
  if (command == "register") return ToJson(QUERN_TRY(store.RegisterVersion(VersionAt(json))));
  if (command == "promote") return ToJson(QUERN_TRY(store.Promote(VersionAt(json))));
  if (command == "promote_version") {
    return ToJson(QUERN_TRY(store.PromoteVersion(text("model"), json.at("version").get<int64_t>())));
  }
  if (command == "alias") {
    if (json.contains("version")) {
      QUERN_TRY(store.SetAlias(text("model"), text("alias"), json.at("version").get<int64_t>()));
    } else {
      QUERN_TRY(store.DeleteAlias(text("model"), text("alias")));
    }
    return Json();
  }
  if (command == "versions") return ToJson(QUERN_TRY(store.ListVersions(text("model"))));
  if (command == "version") {
    if (json.contains("alias")) return ToJson(QUERN_TRY(store.FindVersionByAlias(text("model"), text("alias"))));
    return ToJson(QUERN_TRY(store.FindVersion(text("model"), json.at("version").get<int64_t>())));
  }
  if (command == "version_tag") {
    QUERN_TRY(store.SetVersionTag(text("model"), json.at("version").get<int64_t>(), text("key"), text("value")));
    return Json();
  }
  if (command == "experiments") {
    Json out = Json::array();
    const auto experiments = QUERN_TRY(store.ListExperiments());
    for (const auto& experiment : experiments) out.push_back(experiment.name);
    return out;
  }
  return Fail(ErrorCode::kInvalidArgument, "no command: " + command);
}

}  // namespace
}  // namespace quern::tracking

int main(int argc, char** argv) {
  using namespace quern;
  if (argc < 3) return 2;
  auto store = tracking::Store::Open({.path = argv[1], .artifact_root = argv[2]});
  if (!store) {
    std::cerr << store.error().ToString() << std::endl;
    return 2;
  }
  std::string line;
  bool failed = false;
  while (std::getline(std::cin, line)) {
    if (line.empty()) continue;
    auto answer = [&]() -> Result<Json> {
      const Json command = QUERN_TRY(ParseJson(line, "command"));
      return tracking::Answer(**store, command);
    }();
    if (!answer) {
      failed = true;
      answer = Json{{"error", answer.error().ToJson()}};
    }
    std::cout << answer->dump() << std::endl;
  }
  return failed ? 1 : 0;
}
