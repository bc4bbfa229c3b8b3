#include <cstdint>
#include <limits>
#include <string_view>

#include "ml/model/trees.h"

// A model file that is taken can be walked with any row, and gives numbers between 0 and 1.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;  // NOLINT
  if (size > 100'000) return 0;
  static const ml::ModelSpec spec = [] {
    ml::ModelSpec made;
    made.label = "late";
    made.classes = {"false", "true"};
    made.features.push_back({"x", "DOUBLE", engine::BatchType::kDouble});
    made.features.push_back({"y", "DOUBLE", engine::BatchType::kDouble});
    made.features.push_back({"c", "VARCHAR", engine::BatchType::kText, true, {"a", "b", "c"}});
    return made;
  }();
  auto trees = ml::Trees::Parse({reinterpret_cast<const char*>(data), size}, spec, "fuzz.ubj");
  if (!trees) {
    QUERN_CHECK(trees.error().code() == ErrorCode::kModelFile);
    return 0;
  }
  constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
  constexpr float kMost = std::numeric_limits<float>::max();
  const float rows[] = {0,       1,      0, kMissing, kMissing, kMissing, kMost, -kMost, 2,
                        -0.001F, 1e-40F, 1, 3,        kMissing, 0,        7,     7,      kMissing};
  double out[6];
  (*trees)->Predict(rows, 6, out);
  for (const double score : out) QUERN_CHECK(score >= 0 && score <= 1);
  return 0;
}
