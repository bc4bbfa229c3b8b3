#pragma once
#include <chrono>
#include <string_view>

#include "delta/snapshot.h"

namespace quern::delta {

/// Writes the snapshot as a classic single-file checkpoint and points `_last_checkpoint` to it. Tombstones older than
/// delta.deletedFileRetentionDuration (default 7 days before `now`) are left out, and txns older than
/// delta.setTransactionRetentionDuration where that is set. Needs Table::parquet.
Result<void> WriteCheckpoint(const Snapshot& snapshot, Timestamp now);

/// "interval 1 week", "interval 36 hours": Spark's calendar intervals of weeks and below. Errors: kInvalidArgument.
Result<std::chrono::milliseconds> ParseInterval(std::string_view text);

}  // namespace quern::delta
