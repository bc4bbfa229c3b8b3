#include "delta/scan.h"

namespace quern::delta {

ScanPlan PlanScan(const Snapshot& snapshot, const Predicate& predicate) {
  const FilePredicate bound(predicate, snapshot.schema(), snapshot.metadata().partition_columns);
  ScanPlan plan;
  const bool all = predicate.kind() == Predicate::Kind::kTrue || predicate.kind() == Predicate::Kind::kUnknown;
  for (size_t i = 0; i < snapshot.files().size(); ++i) {
    if (all || bound.MayMatch(*snapshot.files()[i])) {
      plan.files.push_back(i);
    } else {
      ++plan.skipped;
    }
  }
  return plan;
}

}  // namespace quern::delta
