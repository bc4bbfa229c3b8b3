#include "schedule/node_provider.h"

#include "base/text.h"

namespace quern::schedule {

std::string TableRef::Key() const {
  return Lower(schema) + "." + Lower(table);
}

std::string EffectAppId(const RunContext& run, const std::string& node) {
  return fmt::format("quern/{}/{}", run.schedule, node);
}

int64_t EffectVersion(const RunContext& run) {
  return MillisSinceEpoch(run.logical_date);
}

}  // namespace quern::schedule
