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

Error OutOfOrder(const RunContext& run, const std::string& table, int64_t recorded) {
  const auto date = [&](Timestamp at) { return FormatShort(run.zone.ToLocal(at)); };
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("{} holds the effect of {}/{} already, which comes after {}, and not that of {}: intervals "
                           "are run in order",
                           table, run.schedule, date(FromMicros(recorded * 1000)), date(run.logical_date), run.dag_run))
      .With("table", table)
      .Hint(fmt::format("`quern backfill {} --from {} --rerun` takes the tables back and plays all of them in order",
                        run.schedule, date(run.logical_date)));
}

}  // namespace quern::schedule
