#include <cstdint>
#include <string>

#include "ml/config.h"
#include "ml/expression.h"

// What parses prints to something that parses to the same, and can be checked and evaluated.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;  // NOLINT
  if (size > 10'000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto expression = ml::Expression::Parse(text, {"fuzz.yml", 3, 5});
  if (!expression) return 0;
  const std::string printed = expression->ToString();
  auto again = ml::Expression::Parse(printed, {});
  QUERN_CHECK(again && again->ToString() == printed);
  Diagnostics diagnostics;
  expression->Check(ml::RetrainNames({}), diagnostics);
  ml::Environment environment;
  environment.now = FromMicros(1'000'000'000'000);
  environment.values["auc"] = ml::Measured::Number(0.5);
  environment.values["age"] = ml::Measured::Since(FromMicros(0));
  const ml::Verdict verdict = expression->Evaluate(environment);
  QUERN_CHECK(!verdict.reason.empty());
  const ml::Verdict same = again->Evaluate(environment);
  QUERN_CHECK(verdict.truth == same.truth);
  return 0;
}
