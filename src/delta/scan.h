#pragma once
#include <vector>

#include "delta/predicate.h"
#include "delta/snapshot.h"

namespace quern::delta {

/// The files of a snapshot that may hold rows for a predicate.
struct ScanPlan {
  std::vector<size_t> files;  ///< positions in Snapshot::files(), ascending
  size_t skipped = 0;
};
/// Never leaves out a file that holds such a row; files without statistics are kept. The first plan that looks at
/// statistics parses those of all files (kept in the snapshot).
ScanPlan PlanScan(const Snapshot& snapshot, const Predicate& predicate);

}  // namespace quern::delta
