#include <cstdint>
#include <string>

#include "base/json.h"
#include "jinja/environment.h"

// Whatever is given ends, within its limits, in an error with a place or in the same text each time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;         // NOLINT
  using namespace quern::jinja;  // NOLINT
  if (size > 4'000) return 0;
  static const Environment environment([] {
    EnvironmentOptions options;
    options.block_tags = {{"materialization", "endmaterialization", BlockHeader::kOptions, BlockBody::kMacro},
                          {"test", "endtest", BlockHeader::kSignature, BlockBody::kMacro},
                          {"docs", "enddocs", BlockHeader::kName, BlockBody::kRaw}};
    options.loader = [](const std::string& name) -> Result<std::string> {
      if (name == "lib") return std::string("{% macro hi(n) %}hi {{ n }}{% endmacro %}{% set v = 3 %}text {{ a }}");
      return Fail(ErrorCode::kNotFound, "no template '" + name + "'");
    };
    return options;
  }());
  auto compiled = environment.Compile(std::string(reinterpret_cast<const char*>(data), size), "fuzz.sql");
  if (!compiled) {
    QUERN_CHECK(compiled.error().pos().line >= 1);
    return 0;
  }
  (void)(*compiled)->Analyze();
  RenderOptions options;
  options.limits = {.steps = 20'000, .output_bytes = 100'000, .call_depth = 40};
  const auto render = [&] {
    auto context = *ParseJson(R"({"a": 7, "f": 2.5, "s": "Hello World", "n": null, "yes": true, "l": [3, 1, 2],
                                  "w": ["b", "A"], "d": {"x": 1, "y": "two"}, "rows": [{"n": 2, "name": "b"}]})",
                              "context");
    const ScopePtr scope = MapScope::FromDict(Value::FromJson(context));
    for (const auto& block : (*compiled)->blocks()) {
      if (block.index >= 0) (void)(*compiled)->Bind(block, scope);
    }
    return (*compiled)->Render(scope, options);
  };
  const auto once = render(), again = render();
  QUERN_CHECK(once.has_value() == again.has_value());
  if (!once) {
    QUERN_CHECK(once.error().code() == again.error().code());
    return 0;
  }
  const bool random = (*compiled)->source().find("random") != std::string::npos;
  QUERN_CHECK(random || once->text == again->text);
  for (size_t offset = 0; offset <= once->text.size(); offset += 1 + once->text.size() / 16) (void)once->Locate(offset);
  return 0;
}
