// Renders templates for tools/jinja_differential.py: one JSON object a line in, one out.
//   in:  {"template": "...", "context": {...}, "settings": {"trim_blocks": true, "undefined": "strict"}}
//   out: {"text": "..."} or {"error": "Q0301", "line": 1, "column": 2, "message": "..."}
// With --bench N: reads one line, renders it N times, prints the microseconds of one render and of one compilation.
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "jinja/environment.h"

namespace {

using namespace quern;
using namespace quern::jinja;

struct Job {
  std::unique_ptr<Environment> environment;
  std::string source;
  ScopePtr scope;
  RenderOptions options;
};

Job ReadJob(const Json& in) {
  Job job;
  EnvironmentOptions options;
  Json settings = in.value("settings", Json::object());
  options.trim_blocks = settings.value("trim_blocks", false);
  options.lstrip_blocks = settings.value("lstrip_blocks", false);
  options.keep_trailing_newline = settings.value("keep_trailing_newline", false);
  std::string undefined = settings.value("undefined", "default");
  job.options.undefined = undefined == "strict" ? UndefinedMode::kStrict : UndefinedMode::kDefault;
  job.options.limits.steps = 5'000'000;
  job.environment = std::make_unique<Environment>(options);
  job.source = in.at("template").get<std::string>();
  job.scope = MapScope::FromDict(Value::FromJson(in.value("context", Json::object())));
  return job;
}

Json Run(const Json& in) {
  Job job = ReadJob(in);
  auto compiled = job.environment->Compile(job.source, "t");
  auto result = compiled ? (*compiled)->Render(job.scope, job.options) : Result<RenderResult>(Fail(compiled.error()));
  if (result) return {{"text", result->text}};
  const Error& error = result.error();
  return {{"error", ErrorCodeName(error.code())},
          {"line", error.pos().line},
          {"column", error.pos().column},
          {"message", error.message()}};
}

double Microseconds(int n, const std::function<void()>& what) {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < n; ++i) what();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / n;
}

}  // namespace

int main(int argc, char** argv) {
  std::string line;
  if (argc == 3 && std::string(argv[1]) == "--bench") {
    std::getline(std::cin, line);
    Job job = ReadJob(*ParseJson(line, "stdin"));
    auto compiled = *job.environment->Compile(job.source, "t");
    int n = std::stoi(argv[2]);
    double render = Microseconds(n, [&] {
      if (!compiled->Render(job.scope, job.options)) std::abort();
    });
    double compile = Microseconds(n, [&] {
      if (!job.environment->Compile(job.source, "t")) std::abort();
    });
    double analyze = Microseconds(n, [&] { (void)compiled->Analyze(); });
    std::cout << Json{{"render_us", render}, {"compile_us", compile}, {"analyze_us", analyze}}.dump() << std::endl;
    return 0;
  }
  while (std::getline(std::cin, line)) {
    auto in = ParseJson(line, "stdin");
    Json out = in ? Run(*in) : Json{{"error", "input"}, {"message", in.error().message()}};
    std::cout << out.dump(-1, ' ', true, Json::error_handler_t::replace) << std::endl;
  }
}
